// The fault guard: a process-wide SIGBUS handler and a registry of the mappings it answers for. Used by MappedFile
// only. Registration takes a lock; the handler looks mappings up without one. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace moescope {

// One registered mapping. `begin` is zero while the slot is free or being changed.
struct MappingSlot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> lost{false};
};

// Makes faults in [begin, begin + size) of a page-aligned mapping survivable. Installs the handler at the first call.
[[nodiscard]] MappingSlot* guard_mapping(const void* begin, std::size_t size);
// Forgets a mapping; to be called before it is unmapped.
void release_mapping(MappingSlot* slot);

}  // namespace moescope
