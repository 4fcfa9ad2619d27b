// FileLock: one owner of a file among processes, for as long as the object lives; a process that dies lets go. It is
// advisory and lies far beyond the bytes that SQLite locks, so both can be held at once. Any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

class MOESCOPE_API FileLock {
 public:
  // Nothing when another holder has it, in this process or another. A file system without locks gives a lock that
  // excludes nobody. Error (input) when the file cannot be opened.
  [[nodiscard]] static Expected<std::optional<FileLock>> try_lock(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace moescope
