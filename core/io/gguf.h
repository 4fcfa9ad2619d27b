// Reader of GGUF files, versions 2 and 3, whole or split: checks the whole header against the file, then gives views
// into the mapped bytes. Called by checkpoints and tokenizers. The result is immutable; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/gguf_value.h"
#include "core/io/mapped_file.h"
#include "core/io/tensor_view.h"

namespace moescope {

// Limits on what one file may ask of us. The first three are the format's reference reader's.
namespace gguf_limit {
inline constexpr std::uint64_t text_bytes = std::uint64_t{1} << 30U;
inline constexpr std::uint64_t array_elements = std::uint64_t{1} << 30U;
inline constexpr std::size_t tensor_name_bytes = 63;
inline constexpr std::uint64_t entries = 1'000'000;  // metadata, and tensors
inline constexpr std::uint64_t all_array_elements = std::uint64_t{1} << 26U;
inline constexpr std::int64_t parts = 10'000;
}  // namespace gguf_limit

struct GgufFile {
  std::vector<std::shared_ptr<const MappedFile>> files;  // one, or the parts in order
  std::uint32_t version = 0;
  std::map<std::string, GgufValue> metadata;  // of the first part
  // Shapes are in PyTorch's order, slowest first: the reverse of the file's. Names are valid UTF-8.
  std::vector<TensorView> tensors;

  // Null when there is none.
  [[nodiscard]] MOESCOPE_API const GgufValue* find(std::string_view key) const;
  // The error of the first file that shrank or was lost since, if any.
  [[nodiscard]] MOESCOPE_API std::optional<Error> fault() const;
};

// Whether a file begins as GGUF does.
[[nodiscard]] MOESCOPE_API bool looks_like_gguf(std::span<const std::byte> bytes);

// Opens and checks `path`; when it is part NNNNN of a split model, all its parts. Errors (input) say which rule failed
// and where: not GGUF, another version or byte order, cut off, a key or tensor name that is empty, too long, not UTF-8
// or there twice, a value of an unknown type or longer than the file, a bad alignment, a tensor of a removed or unknown
// type, with rows that hold no whole blocks, too large, away from the end of the one before it or outside the file; a
// part that is missing or belongs to another model.
[[nodiscard]] MOESCOPE_API Expected<GgufFile> read_gguf(const std::filesystem::path& path);

}  // namespace moescope
