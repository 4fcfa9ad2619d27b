// MappedFile: a read-only memory-mapped file with a fault guard. A file that shrinks, or whose disk goes away, while it
// is mapped becomes an Error on that file instead of a crash: the missing pages read as zeros and fault() tells.
// Called by the container readers; whoever computes from mapped bytes asks fault() before trusting the outcome.
// Immutable after open; any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

struct MappingSlot;

class MOESCOPE_API MappedFile {
 public:
  // Maps a whole regular file; symbolic links are followed, an empty file gives empty bytes. Errors (input): missing,
  // not readable, not a regular file, no address space.
  // The first call installs the process-wide SIGBUS handler; faults outside our mappings go on to the handler that was
  // there before.
  [[nodiscard]] static Expected<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // The bytes of the file as it was when opened. Valid as long as this object.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Modification time at opening, nanoseconds since 1970.
  [[nodiscard]] std::int64_t modified_ns() const { return modified_ns_; }
  // The error (input) of a file that shrank or was lost since it was opened; what was read from it is then not to be
  // trusted. One cheap system call.
  [[nodiscard]] std::optional<Error> fault() const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
  std::int64_t modified_ns_ = 0;
  int descriptor_ = -1;
  MappingSlot* slot_ = nullptr;  // owned by the registry, which never frees
};

// Hints about mapped bytes. Prefetch: they are needed soon; the system may begin to read them, and this call may wait
// for it. Release: they are not needed for now; their pages leave this process (not the system's file cache) and come
// back when they are read. Both may do nothing.
MOESCOPE_API void prefetch_mapped(std::span<const std::byte> bytes);
MOESCOPE_API void release_mapped(std::span<const std::byte> bytes);

}  // namespace moescope
