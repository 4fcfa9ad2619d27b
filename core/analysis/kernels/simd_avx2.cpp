// The loops with AVX2: 256-bit vectors.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "core/analysis/kernels/simd_sets.h"

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")

namespace moescope::kernels {
namespace {

using V128 = std::uint64_t __attribute__((vector_size(16)));
using V256 = std::uint64_t __attribute__((vector_size(32)));

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

// 64 counters of one word of bits: each 32 bits of a plane become 32 bytes of 0 or the plane's weight.
inline void add_expanded(const std::uint64_t* planes, std::size_t stride, std::size_t used, std::uint32_t* counts,
                         std::size_t counters) {
  const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                          2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  alignas(32) std::uint8_t bytes[64];
  for (int half = 0; half < 2; ++half) {
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t p = 0; p < used; ++p) {
      const auto part = static_cast<int>(static_cast<std::uint32_t>(planes[p * stride] >> (32 * half)));
      __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32(part), spread);
      v = _mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
      sum = _mm256_or_si256(sum, _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(1U << p))));
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes + 32 * half), sum);
  }
  if (counters == 64) {
    for (std::size_t i = 0; i < 64; i += 8) {
      auto* const to = reinterpret_cast<__m256i*>(counts + i);
      const __m256i eight = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + i)));
      _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), eight));
    }
    return;
  }
  for (std::size_t i = 0; i < counters; ++i) counts[i] += bytes[i];
}

#include "core/analysis/kernels/simd_body.h"

void set_bits(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, const std::uint64_t* one_hot,
              std::size_t words, std::uint64_t* bits) {
  if (words == 1) return set_bits_of<std::uint64_t>(ids, tokens, slots, one_hot, bits);
  if (words == 2) return set_bits_of<V128>(ids, tokens, slots, one_hot, bits);
  set_bits_of<V256>(ids, tokens, slots, one_hot, bits);
}

void sum_bits(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts) {
  if (words <= 4) return sum_run<V256>(bits, tokens, words, counts);
  sum_columns<V256>(bits, tokens, words, counts);
}

void sum_listed(const std::uint64_t* bits, const std::uint16_t* list, std::size_t length, std::size_t words,
                std::size_t counters, std::uint32_t* counts) {
  if (words == 1) return sum_list_columns<std::uint64_t>(bits, list, length, words, counters, counts);
  if (words == 2) return sum_list_columns<V128>(bits, list, length, words, counters, counts);
  sum_list_columns<V256>(bits, list, length, words, counters, counts);
}

}  // namespace

const KernelSet avx2_kernels{"avx2",          "AVX2, 256-bit vectors", set_bits, sum_bits, nullptr,
                             sum_listed,      fill_lists_of,           nullptr,  nullptr,  count_bytes_of,
                             weighted_sums_of};

}  // namespace moescope::kernels
#pragma GCC pop_options
#endif
