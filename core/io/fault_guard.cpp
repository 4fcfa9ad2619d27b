#include "core/io/fault_guard.h"

#include <signal.h>  // NOLINT: POSIX, not <csignal>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <mutex>

namespace moescope {
namespace {

// Slots live in chunks that are linked once and never freed, so the handler may walk them at any moment.
struct Chunk {
  std::array<MappingSlot, 256> slots;
  std::atomic<Chunk*> next{nullptr};
};

struct Registry {
  Chunk first;
  std::mutex mutex;
  std::once_flag install;
  struct sigaction previous {};
  std::uintptr_t page = 4096;
};

// Never destroyed: a fault may come while static objects of other files are being torn down.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}
std::atomic<Registry*> handler_registry{nullptr};

MappingSlot* find_slot(Registry& from, std::uintptr_t address, std::uintptr_t& end) {
  for (Chunk* chunk = &from.first; chunk != nullptr; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (MappingSlot& slot : chunk->slots) {
      const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
      end = slot.end.load(std::memory_order_acquire);
      // Read twice: a slot that is being reused shows a begin of zero in between.
      if (begin == 0 || begin != slot.begin.load(std::memory_order_acquire)) continue;
      if (address >= begin && address < end) return &slot;
    }
  }
  return nullptr;
}

void pass_on(const Registry& from, int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = from.previous;
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    // Back to the default: the faulting instruction runs again and ends the process as it would have without us.
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
  }
}

// Only system calls and atomics here: this runs in the middle of whatever was reading.
void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  Registry* const from = handler_registry.load(std::memory_order_acquire);
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  std::uintptr_t end = 0;
  MappingSlot* const slot = find_slot(*from, address, end);
  if (slot == nullptr) {
    pass_on(*from, signal, info, context);
    errno = saved_errno;
    return;
  }
  slot->lost.store(true, std::memory_order_release);
  // From the faulting page to the end of the mapping, so that a reader of a long range faults once and not per page.
  const std::uintptr_t begin = address & ~(from->page - 1);
  // The kernel gave the address as a number.  NOLINTNEXTLINE(performance-no-int-to-ptr)
  void* const zeros = mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (zeros == MAP_FAILED) pass_on(*from, signal, info, context);
  errno = saved_errno;
}

void install_handler(Registry& target) {
  target.page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  sigaction(SIGBUS, nullptr, &target.previous);
  handler_registry.store(&target, std::memory_order_release);
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

MappingSlot* guard_mapping(const void* begin, std::size_t size) {
  Registry& all = registry();
  std::call_once(all.install, install_handler, std::ref(all));
  const std::lock_guard lock(all.mutex);
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(begin);
  // Whole pages: a fault in the tail of the last page is ours too.
  const std::uintptr_t last = (first + size + all.page - 1) & ~(all.page - 1);
  for (Chunk* chunk = &all.first;;) {
    for (MappingSlot& slot : chunk->slots) {
      if (slot.end.load(std::memory_order_relaxed) != 0) continue;
      slot.lost.store(false, std::memory_order_relaxed);
      slot.end.store(last, std::memory_order_release);
      slot.begin.store(first, std::memory_order_release);
      return &slot;
    }
    Chunk* next = chunk->next.load(std::memory_order_acquire);
    if (next == nullptr) {
      next = new Chunk;  // kept for the life of the process, see Chunk
      chunk->next.store(next, std::memory_order_release);
    }
    chunk = next;
  }
}

void release_mapping(MappingSlot* slot) {
  const std::lock_guard lock(registry().mutex);
  slot->begin.store(0, std::memory_order_release);
  slot->end.store(0, std::memory_order_release);
}

}  // namespace moescope
