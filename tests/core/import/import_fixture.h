// Files that tests of importers make, and what they ask of the traces that come out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/npy.h"
#include "core/trace/import/importer.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::fixtures {

class ImportFolder : public TemporaryFolder {
 public:
  // Writes a file and imports it by its content. Fails the test, and gives an empty trace, when that does not work.
  Trace import(const std::string& name, std::string_view bytes, const ImportOptions& options = {}) const;
  // The importer that the content of the file chooses; "" when none or several fit.
  std::string format_of(const std::string& name, std::string_view bytes) const;
};

// Filled ids of a token at a row.
std::vector<std::uint32_t> ids_at(const Trace& trace, std::size_t row, std::size_t token);
// Gate weights of the same slots.
std::vector<float> weights_at(const Trace& trace, std::size_t row, std::size_t token);
// Counts [row] of a counts-only trace, summed over steps.
std::vector<std::int64_t> counts_at(const Trace& trace, std::size_t row);
// All notes in one text.
std::string notes_of(const Trace& trace);

// A .npy file of numbers in C order.
template <typename T>
std::string npy_bytes(DType type, const std::vector<std::uint64_t>& shape, const std::vector<T>& values) {
  std::string out = npy_header(type, shape);
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return out;
}

}  // namespace moescope::fixtures
