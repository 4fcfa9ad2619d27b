#include "core/analysis/kernels/simd.h"

#include <atomic>
#include <cstdlib>
#include <vector>

#include "core/analysis/kernels/simd_sets.h"

namespace moescope::kernels {
namespace {

std::vector<const KernelSet*> find_runnable() {
  std::vector<const KernelSet*> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vpopcntdq");
  if (avx512) sets.push_back(&avx512_kernels);
  if (avx2) sets.push_back(&avx2_kernels);
#endif
  sets.push_back(&portable_kernels);
  return sets;
}

const KernelSet* named(const std::string& name) {
  for (const KernelSet* set : runnable_kernels()) {
    if (name == set->name) return set;
  }
  return nullptr;
}

std::atomic<const KernelSet*>& chosen() {
  static std::atomic<const KernelSet*> set = [] {
    const char* const asked = std::getenv("MOESCOPE_SIMD");
    const KernelSet* const found = asked ? named(asked) : nullptr;
    return found ? found : runnable_kernels().front();
  }();
  return set;
}

}  // namespace

std::span<const KernelSet* const> runnable_kernels() {
  static const std::vector<const KernelSet*> sets = find_runnable();
  return sets;
}

const KernelSet& active_kernels() {
  return *chosen().load(std::memory_order_relaxed);
}

bool use_kernels(const std::string& name) {
  const KernelSet* const set = named(name);
  if (set) chosen().store(set, std::memory_order_relaxed);
  return set != nullptr;
}

}  // namespace moescope::kernels
