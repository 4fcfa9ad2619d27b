#include "core/io/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/io/mapped_file.h"

namespace moescope {

Expected<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  OutputFile out;
  out.path_ = path;
  out.descriptor_ = ::open(out.part_path().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out.descriptor_ < 0) return out.problem("the file cannot be created");
  return out;
}

OutputFile::~OutputFile() {
  discard();
}
OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this != &other) {
    discard();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void OutputFile::discard() noexcept {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(part_path().c_str());
  descriptor_ = -1;
}

std::filesystem::path OutputFile::part_path() const {
  auto part = path_;
  part += ".part";
  return part;
}

Unexpected OutputFile::problem(const char* what) const {
  const int reason = errno;
  return fail(ErrorKind::input, fmt::format("{}: {}", what, std::generic_category().message(reason)), path_.string(),
              reason == ENOSPC ? "Free space on the disk or write elsewhere"
                               : "Check that the folder exists and that you may write there");
}

Expected<void> OutputFile::resize(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return problem("the file cannot be resized");
  return {};
}

Expected<void> OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return problem("the file cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Expected<void> OutputFile::commit() {
  if (::fsync(descriptor_) != 0) return problem("the file cannot be written to disk");
  if (::rename(part_path().c_str(), path_.c_str()) != 0) return problem("the file cannot be renamed");
  ::close(std::exchange(descriptor_, -1));
  // The new name itself reaches the disk with its folder. Some file systems cannot sync folders; the data is safe then.
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  if (const int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
  return {};
}

Expected<void> write_whole_file(const std::filesystem::path& path, std::string_view bytes) {
  auto file = OutputFile::create(path);
  if (!file) return fail(file.error());
  if (auto written = file->write_at(0, std::as_bytes(std::span(bytes.data(), bytes.size()))); !written) return written;
  return file->commit();
}

Expected<std::string> read_whole_file(const std::filesystem::path& path, std::size_t limit) {
  const auto file = MappedFile::open(path);
  if (!file) return fail(file.error());
  const auto bytes = (*file)->bytes();
  if (bytes.size() > limit) {
    return fail(ErrorKind::input, fmt::format("the file has {} bytes, more than the {} expected", bytes.size(), limit),
                path.string(), "Check that this is the right file");
  }
  std::string text(bytes.size(), '\0');
  if (!text.empty()) std::memcpy(text.data(), bytes.data(), bytes.size());
  if (auto lost = (*file)->fault()) return fail(*lost);
  return text;
}

}  // namespace moescope
