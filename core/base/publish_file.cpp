#include "core/base/publish_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace moescope {
namespace {

Unexpected write_failure(const std::filesystem::path& path, int reason) {
  return fail(
      ErrorKind::input, std::string("cannot write the file: ") + std::strerror(reason), path.string(),
      reason == ENOSPC ? "Free some space or choose another disk" : "Check that the folder is there and writable");
}

// Closes on every way out.
struct OpenFile {
  int value;
  ~OpenFile() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

Expected<void> publish_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  {
    const OpenFile file{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.value < 0 || ::fsync(file.value) != 0) return write_failure(to, errno);
  }
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) return write_failure(to, error.value());
  // The rename itself is safe only once the folder is on the disk; not every file system allows it, so no error then.
  const std::filesystem::path folder = to.has_parent_path() ? to.parent_path() : std::filesystem::path(".");
  const OpenFile directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.value >= 0) ::fsync(directory.value);
  return {};
}

}  // namespace moescope
