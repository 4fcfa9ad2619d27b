// OutputFile: a file that appears under its name only when it is whole. Written beside it as `NAME.part`, synced, then
// renamed; given up, it leaves nothing. Called by writers; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

class MOESCOPE_API OutputFile {
 public:
  // Opens `path`.part for writing; an old one is overwritten. Errors (input): the folder is missing or not writable.
  [[nodiscard]] static Expected<OutputFile> create(const std::filesystem::path& path);
  // Removes the .part file unless commit() was reached.
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path part_path() const;
  // Makes the file `size` bytes long; what was not written reads as zeros.
  [[nodiscard]] Expected<void> resize(std::uint64_t size);
  // Writes all of `bytes` at an offset. Errors (input) such as a full disk.
  [[nodiscard]] Expected<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  // Syncs to disk and renames to path(), replacing what was there.
  [[nodiscard]] Expected<void> commit();

 private:
  OutputFile() = default;
  void discard() noexcept;
  [[nodiscard]] Unexpected problem(const char* what) const;
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// Writes a whole file at once, by the same way.
[[nodiscard]] MOESCOPE_API Expected<void> write_whole_file(const std::filesystem::path& path, std::string_view bytes);
// Reads a whole file of at most `limit` bytes. Errors (input): missing, not a plain file, larger.
[[nodiscard]] MOESCOPE_API Expected<std::string> read_whole_file(const std::filesystem::path& path, std::size_t limit);

}  // namespace moescope
