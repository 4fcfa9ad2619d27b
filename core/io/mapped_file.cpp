#include "core/io/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/io/fault_guard.h"

namespace moescope {

Expected<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  // Non-blocking, so that a named pipe is refused below instead of waited for.
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->descriptor_ < 0) {
    const int reason = errno;
    return fail(ErrorKind::input, "the file cannot be opened: " + std::generic_category().message(reason),
                path.string(), reason == ENOENT ? "Check the path" : "Check that you may read it");
  }
  struct stat status {};
  if (::fstat(file->descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorKind::input, S_ISDIR(status.st_mode) ? "this is a folder, not a file" : "this is not a plain file",
                path.string(), "Name a file");
  }
  file->modified_ns_ = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 +
                       static_cast<std::int64_t>(status.st_mtim.tv_nsec);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return file;
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file->descriptor_, 0);
  if (address == MAP_FAILED) {
    return fail(ErrorKind::input,
                fmt::format("the file of {} bytes cannot be mapped: {}", size, std::generic_category().message(errno)),
                path.string(), "Check that its file system allows mapping and that the address space is not limited");
  }
  file->bytes_ = std::span(static_cast<const std::byte*>(address), size);
  file->slot_ = guard_mapping(address, size);
  return file;
}

MappedFile::~MappedFile() {
  if (slot_ != nullptr) release_mapping(slot_);
  // Pages that the guard replaced lie in the same range and go with it.
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<Error> MappedFile::fault() const {
  const char* const advice = "Restore the file, then open it again";
  if (slot_ != nullptr && slot_->lost.load(std::memory_order_acquire)) {
    return Error{ErrorKind::input, "the file shrank or its disk went away while it was being read", path_.string(),
                 advice};
  }
  // A cut inside the last page reads as zeros without any fault, so the size is asked too.
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    return Error{ErrorKind::input, "the file was lost after it was opened", path_.string(), advice};
  }
  if (static_cast<std::size_t>(status.st_size) < bytes_.size()) {
    return Error{ErrorKind::input,
                 fmt::format("the file shrank from {} to {} bytes after it was opened", bytes_.size(), status.st_size),
                 path_.string(), advice};
  }
  return std::nullopt;
}

void prefetch_mapped(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto* const data = const_cast<std::byte*>(bytes.data());
  const std::size_t before = reinterpret_cast<std::uintptr_t>(data) % page;
  if (!bytes.empty()) ::madvise(data - before, before + bytes.size(), MADV_WILLNEED);
}

void release_mapped(std::span<const std::byte> bytes) {
  // Whole pages only: the ones at the ends may hold somebody else's bytes.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto* const data = const_cast<std::byte*>(bytes.data());
  const std::size_t skipped = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
  if (bytes.size() < skipped + page) return;
  ::madvise(data + skipped, (bytes.size() - skipped) / page * page, MADV_DONTNEED);
}

}  // namespace moescope
