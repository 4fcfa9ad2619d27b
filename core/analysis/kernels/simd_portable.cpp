// The loops with whatever the compiler was asked for (SSE2 on x86-64): 128-bit vectors.
#include <cstring>

#include "core/analysis/kernels/simd_sets.h"

namespace moescope::kernels {
namespace {

using V128 = std::uint64_t __attribute__((vector_size(16)));

template <typename V>
[[gnu::always_inline]] inline V load(const std::uint64_t* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <typename V>
[[gnu::always_inline]] inline void full_add(V& sum, V& carry, V a, V b, V c) {
  const V half = a ^ b;
  carry = (a & b) | (half & c);
  sum = half ^ c;
}

inline void add_expanded(const std::uint64_t* planes, std::size_t stride, std::size_t used, std::uint32_t* counts,
                         std::size_t counters) {
  for (std::size_t p = 0; p < used; ++p) {
    const std::uint64_t plane = planes[p * stride];
    for (std::size_t i = 0; i < counters; ++i) counts[i] += static_cast<std::uint32_t>(plane >> i & 1U) << p;
  }
}

#include "core/analysis/kernels/simd_body.h"

void set_bits(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, const std::uint64_t* one_hot,
              std::size_t words, std::uint64_t* bits) {
  if (words == 1) return set_bits_of<std::uint64_t>(ids, tokens, slots, one_hot, bits);
  if (words == 2) return set_bits_of<V128>(ids, tokens, slots, one_hot, bits);
  for (std::size_t t = 0; t < tokens; ++t) {
    V128 low{}, high{};
    for (std::size_t s = 0; s < slots; ++s) {
      const std::uint64_t* hot = one_hot + ids[t * slots + s] * 4;
      low |= load<V128>(hot);
      high |= load<V128>(hot + 2);
    }
    std::memcpy(bits + t * 4, &low, sizeof low);
    std::memcpy(bits + t * 4 + 2, &high, sizeof high);
  }
}

void sum_bits(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts) {
  if (words <= 2) return sum_run<V128>(bits, tokens, words, counts);
  sum_columns<V128>(bits, tokens, words, counts);
}

void sum_listed(const std::uint64_t* bits, const std::uint16_t* list, std::size_t length, std::size_t words,
                std::size_t counters, std::uint32_t* counts) {
  if (words == 1) return sum_list_columns<std::uint64_t>(bits, list, length, words, counters, counts);
  sum_list_columns<V128>(bits, list, length, words, counters, counts);
}

}  // namespace

const KernelSet portable_kernels{"portable",      "128-bit vectors of the baseline",
                                 set_bits,        sum_bits,
                                 nullptr,         sum_listed,
                                 fill_lists_of,   nullptr,
                                 nullptr,         count_bytes_of,
                                 weighted_sums_of};

}  // namespace moescope::kernels
