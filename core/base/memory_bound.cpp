#include "core/base/memory_bound.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace moescope {

MemoryBound::MemoryBound(std::uint64_t more) {
  std::ifstream status("/proc/self/status");
  std::uint64_t held = 0;
  for (std::string word; status >> word;) {
    if (word == "VmData:" && status >> held) break;
  }
  rlimit limit{};
  if (held == 0 || ::getrlimit(RLIMIT_DATA, &limit) != 0) return;
  const std::uint64_t before = limit.rlim_cur;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, held * 1024 + more);
  if (::setrlimit(RLIMIT_DATA, &limit) == 0) before_ = before;
}

MemoryBound::~MemoryBound() {
  rlimit limit{};
  if (!before_ || ::getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = *before_;
  ::setrlimit(RLIMIT_DATA, &limit);
}

}  // namespace moescope
