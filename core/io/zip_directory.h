// Reader of a zip archive's directory over a mapped file: stored entries are views into the mapping, deflated ones are
// inflated on request. Called by the readers of torch files and of .npz. Immutable after reading; any thread.
#pragma once

#include <cstddef>
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

namespace moescope {

namespace zip_limit {
inline constexpr std::uint64_t entries = 1'000'000;
}

struct ZipEntry {
  std::string name;
  bool deflated = false;
  std::uint64_t size = 0;    // of the content
  std::uint64_t packed = 0;  // bytes in the file
  std::uint64_t offset = 0;  // of the first packed byte in the file
  std::uint32_t crc = 0;
};

// Bytes of an entry and what keeps them: the mapping, or a buffer.
struct ZipBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

struct ZipDirectory {
  std::shared_ptr<const MappedFile> file;
  std::vector<ZipEntry> entries;  // by name

  // Entry by its whole name, null when there is none.
  [[nodiscard]] MOESCOPE_API const ZipEntry* find(std::string_view name) const;
  // The content of an entry. Stored ones are given where they lie, whatever their size. Errors (input): a deflated
  // entry larger than `limit` bytes, one that does not inflate to just its size, or whose checksum is wrong.
  [[nodiscard]] MOESCOPE_API Expected<ZipBytes> read(const ZipEntry& entry, std::uint64_t limit) const;
};

// Whether the file begins as a zip archive does.
[[nodiscard]] MOESCOPE_API bool looks_like_zip(std::span<const std::byte> bytes);

// Reads the directory (zip64 included). Errors (input): not a zip archive, cut off, several disks, encrypted or packed
// in another way than stored or deflated, an entry outside the file, over another entry, with a local header that
// tells otherwise than the directory, or twice.
[[nodiscard]] MOESCOPE_API Expected<ZipDirectory> read_zip_directory(std::shared_ptr<const MappedFile> file);
[[nodiscard]] MOESCOPE_API Expected<ZipDirectory> read_zip_directory(const std::filesystem::path& path);

}  // namespace moescope
