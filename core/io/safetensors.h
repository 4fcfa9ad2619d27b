// Reader of one safetensors file: checks the whole header against the file, then gives views into the mapped bytes.
// Called by checkpoints, sharded sets and trace files. The result is immutable; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/mapped_file.h"
#include "core/io/tensor_view.h"

namespace moescope {

// Limits on what one header may ask of us. Real files are far below them.
namespace safetensors_limit {
inline constexpr std::uint64_t header_bytes = 100'000'000;  // of the format itself
inline constexpr std::size_t tensors = 1'000'000;
inline constexpr std::size_t metadata_entries = 100'000;
inline constexpr std::size_t dimensions = 64;
inline constexpr std::size_t nesting = 64;  // of JSON that is skipped
}  // namespace safetensors_limit

struct SafetensorsFile {
  std::shared_ptr<const MappedFile> file;
  std::vector<TensorView> tensors;              // in the order of their bytes in the file
  std::map<std::string, std::string> metadata;  // __metadata__
  std::uint64_t data_offset = 0;                // of the first data byte in the file
  std::uint64_t missing_bytes = 0;              // cut off at the end; 0 unless opened with truncation allowed
  std::string header_hash;                      // of the header's JSON bytes, as hash_hex()

  // Tensor by name, null when there is none.
  [[nodiscard]] MOESCOPE_API const TensorView* find(std::string_view name) const;
  // The error of the file having shrunk since, if any.
  [[nodiscard]] std::optional<Error> fault() const { return file->fault(); }

  std::vector<std::uint32_t> by_name;  // indices of `tensors`, sorted by name; find() uses it
};

enum class Truncation {
  refused,  // checkpoints: every byte must be there
  allowed,  // trace files: a tensor's `bytes` may be shorter than its shape says, or empty
};

// Opens and checks `path`. Errors (input) say which rule failed and where: header too small, too large or longer than
// the file; not UTF-8 JSON of the right structure; a name twice; holes or overlaps between tensors; a size that does
// not follow from type and shape; too few or too many bytes.
[[nodiscard]] MOESCOPE_API Expected<SafetensorsFile> read_safetensors(const std::filesystem::path& path,
                                                                      Truncation truncation = Truncation::refused);

}  // namespace moescope
