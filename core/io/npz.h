// Reader and writer of NumPy's .npz archives: the arrays of a zip file, by name. Called by importers and exporters;
// reading is pure, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/mapped_file.h"
#include "core/io/npy.h"
#include "core/io/output_file.h"

namespace moescope {

namespace npz_limit {
inline constexpr std::uint64_t packed_array_bytes = std::uint64_t{4} << 30U;  // of one deflated array
}

// Arrays named without ".npy", in the order of names; entries of other names are left out. Errors (input): a broken
// archive, a broken array, no array at all.
[[nodiscard]] MOESCOPE_API Expected<std::vector<NpyArray>> read_npz(const std::shared_ptr<const MappedFile>& file);

// Writes an archive array by array, uncompressed, as numpy.savez does. One thread at a time.
class MOESCOPE_API NpzWriter {
 public:
  // Errors (input): the file cannot be made.
  [[nodiscard]] static Expected<NpzWriter> create(const std::filesystem::path& path);
  // Begins an array; its bytes follow, in C order, by write(). Errors (input): the archive would pass 4 GiB; a full
  // disk.
  [[nodiscard]] Expected<void> begin(const std::string& name, DType type, std::span<const std::uint64_t> shape);
  [[nodiscard]] Expected<void> write(std::span<const std::byte> bytes);
  // Writes the directory and gives the file its name. Error (internal): an array got too few or too many bytes.
  [[nodiscard]] Expected<void> finish();

 private:
  struct Entry {
    std::string name;
    std::uint64_t offset = 0, size = 0, written = 0;
    std::uint32_t crc = 0;
  };
  explicit NpzWriter(OutputFile file) : file_(std::move(file)) {}
  [[nodiscard]] Expected<void> end_entry();
  [[nodiscard]] Expected<void> put(std::string_view bytes);
  OutputFile file_;
  std::vector<Entry> entries_;
  std::uint64_t at_ = 0;
};

}  // namespace moescope
