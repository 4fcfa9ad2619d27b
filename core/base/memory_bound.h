// A limit on the private memory of this process for a while, kept by the system. Used around code that is not trusted
// with memory. One at a time; whichever thread makes it.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/export.h"

namespace moescope {

class MOESCOPE_API MemoryBound {
 public:
  // At most `more` bytes beyond what is held now; allocations beyond fail. No limit where the system has none.
  explicit MemoryBound(std::uint64_t more);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;

 private:
  std::optional<std::uint64_t> before_;  // the limit that comes back
};

}  // namespace moescope
