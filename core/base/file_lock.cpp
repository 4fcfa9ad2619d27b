#include "core/base/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace moescope {

Expected<std::optional<FileLock>> FileLock::try_lock(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    const int reason = errno;
    return fail(ErrorKind::input, std::string("cannot open the file for writing: ") + std::strerror(reason),
                path.string(), "Check its permissions, or work on a copy");
  }
  FileLock lock(descriptor);
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = off_t{1} << 60;  // no byte that SQLite or anyone stores data in
  range.l_len = 1;
#if defined(F_OFD_SETLK)
  const int command = F_OFD_SETLK;  // belongs to this descriptor, not to the whole process
#else
  const int command = F_SETLK;
#endif
  if (fcntl(descriptor, command, &range) != 0 && (errno == EAGAIN || errno == EACCES)) return std::nullopt;
  return std::optional<FileLock>(std::move(lock));
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace moescope
