// The loops with AVX-512 (F, BW, DQ, VL, VBMI, VPOPCNTDQ): full adders of two ternary operations, masks that spread
// bits to counters, and population counts of crossed bit columns.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "core/analysis/kernels/simd_sets.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")

namespace moescope::kernels {
namespace {

using V128 = std::uint64_t __attribute__((vector_size(16)));
using V256 = std::uint64_t __attribute__((vector_size(32)));
using V512 = std::uint64_t __attribute__((vector_size(64)));

constexpr int parity = 0x96, majority = 0xE8;  // truth tables of three bits

template <typename V>
[[gnu::always_inline]] inline V load(const std::uint64_t* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

[[gnu::always_inline]] inline void full_add(V128& sum, V128& carry, V128 a, V128 b, V128 c) {
  const auto x = reinterpret_cast<__m128i>(a), y = reinterpret_cast<__m128i>(b), z = reinterpret_cast<__m128i>(c);
  carry = reinterpret_cast<V128>(_mm_ternarylogic_epi64(x, y, z, majority));
  sum = reinterpret_cast<V128>(_mm_ternarylogic_epi64(x, y, z, parity));
}
[[gnu::always_inline]] inline void full_add(V256& sum, V256& carry, V256 a, V256 b, V256 c) {
  const auto x = reinterpret_cast<__m256i>(a), y = reinterpret_cast<__m256i>(b), z = reinterpret_cast<__m256i>(c);
  carry = reinterpret_cast<V256>(_mm256_ternarylogic_epi64(x, y, z, majority));
  sum = reinterpret_cast<V256>(_mm256_ternarylogic_epi64(x, y, z, parity));
}
[[gnu::always_inline]] inline void full_add(V512& sum, V512& carry, V512 a, V512 b, V512 c) {
  const auto x = reinterpret_cast<__m512i>(a), y = reinterpret_cast<__m512i>(b), z = reinterpret_cast<__m512i>(c);
  carry = reinterpret_cast<V512>(_mm512_ternarylogic_epi64(x, y, z, majority));
  sum = reinterpret_cast<V512>(_mm512_ternarylogic_epi64(x, y, z, parity));
}
[[gnu::always_inline]] inline void full_add(std::uint64_t& sum, std::uint64_t& carry, std::uint64_t a, std::uint64_t b,
                                            std::uint64_t c) {
  const std::uint64_t half = a ^ b;
  carry = (a & b) | (half & c);
  sum = half ^ c;
}

[[gnu::always_inline]] inline void add_expanded(const std::uint64_t* planes, std::size_t stride, std::size_t used,
                                                std::uint32_t* counts, std::size_t counters) {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t p = 0; p < used; ++p) {
    sum = _mm512_mask_add_epi8(sum, _cvtu64_mask64(planes[p * stride]), sum,
                               _mm512_set1_epi8(static_cast<char>(1U << p)));
  }
  const auto add = [&](std::size_t i, __m128i bytes) {
    if (counters <= i) return;
    const __mmask16 mask = counters - i >= 16 ? 0xFFFFU : (1U << (counters - i)) - 1U;
    const __m512i old = _mm512_maskz_loadu_epi32(mask, counts + i);
    _mm512_mask_storeu_epi32(counts + i, mask, _mm512_add_epi32(old, _mm512_cvtepu8_epi32(bytes)));
  };
  if (counters == 64) {
    const auto add_all = [&](std::size_t i, __m128i bytes) {
      _mm512_storeu_si512(counts + i, _mm512_add_epi32(_mm512_loadu_si512(counts + i), _mm512_cvtepu8_epi32(bytes)));
    };
    add_all(0, _mm512_castsi512_si128(sum));
    add_all(16, _mm512_extracti32x4_epi32(sum, 1));
    add_all(32, _mm512_extracti32x4_epi32(sum, 2));
    add_all(48, _mm512_extracti32x4_epi32(sum, 3));
    return;
  }
  add(0, _mm512_castsi512_si128(sum));
  add(16, _mm512_extracti32x4_epi32(sum, 1));
  add(32, _mm512_extracti32x4_epi32(sum, 2));
  add(48, _mm512_extracti32x4_epi32(sum, 3));
}

#include "core/analysis/kernels/simd_body.h"

// Eight tokens of eight slots at once, one token in each lane. A rotation takes its count modulo 64, so ids of 64 and
// more must be looked for.
[[gnu::always_inline]] inline __m512i eight_sets(__m512i eight) {
  const __m512i one = _mm512_set1_epi64(1);
  __m512i set = _mm512_rolv_epi64(one, eight);
  for (int s = 1; s < 8; ++s) {
    eight = _mm512_srli_epi64(eight, 8);
    set = _mm512_or_si512(set, _mm512_rolv_epi64(one, eight));
  }
  return set;
}

// Up to 64 experts.
void set_one_word(const std::uint8_t* ids, std::size_t tokens, const std::uint64_t* one_hot, std::uint64_t* bits) {
  std::uint64_t known = 0;
  for (std::size_t id = 0; id < 64; ++id) known |= one_hot[id];
  const __m512i all = _mm512_set1_epi64(static_cast<long long>(known));
  const __m512i high = _mm512_set1_epi8(static_cast<char>(0xC0));
  std::size_t t = 0;
  for (; t + 8 <= tokens; t += 8) {
    const __m512i eight = _mm512_loadu_si512(ids + t * 8);
    if (_mm512_test_epi8_mask(eight, high) != 0) {
      set_bits_of<std::uint64_t>(ids + t * 8, 8, 8, one_hot, bits + t);
      continue;
    }
    _mm512_storeu_si512(bits + t, _mm512_and_si512(eight_sets(eight), all));
  }
  set_bits_of<std::uint64_t>(ids + t * 8, tokens - t, 8, one_hot, bits + t);
}

// The sets are summed as they are made, 128 tokens at a time.
bool sum_ids(const std::uint8_t* ids, std::size_t tokens, std::uint32_t* counts) {
  __m512i seen = _mm512_setzero_si512();
  for (std::size_t done = 0; done < tokens;) {
    V512 p[most_planes] = {};
    std::size_t n = 0;
    for (; n < most_blocks * 16 && done < tokens; n += 16) {
      const std::size_t left = tokens - done;
      const auto take = [&](std::size_t i) {
        const std::size_t at = i * 8;
        if (at >= left) return V512{};
        const auto used = left - at >= 8 ? 0xFFU : (1U << (left - at)) - 1U;  // tokens that there are
        const __m512i eight = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(used), ids + (done + at) * 8);
        seen = _mm512_or_si512(seen, eight);
        return reinterpret_cast<V512>(_mm512_maskz_mov_epi64(static_cast<__mmask8>(used), eight_sets(eight)));
      };
      if (left >= 128) {
        add_sixteen(p, [&](std::size_t i) {
          const __m512i eight = _mm512_loadu_si512(ids + (done + i * 8) * 8);
          seen = _mm512_or_si512(seen, eight);
          return reinterpret_cast<V512>(eight_sets(eight));
        });
      } else {
        add_sixteen(p, take);
      }
      done += left < 128 ? left : 128;
    }
    spill(p, n, 1, 64, counts);
  }
  return _mm512_test_epi8_mask(seen, _mm512_set1_epi8(static_cast<char>(0xC0))) == 0;
}

void set_bits(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, const std::uint64_t* one_hot,
              std::size_t words, std::uint64_t* bits) {
  if (words == 1 && slots == 8) return set_one_word(ids, tokens, one_hot, bits);
  if (words == 1) return set_bits_of<std::uint64_t>(ids, tokens, slots, one_hot, bits);
  if (words == 2) return set_bits_of<V128>(ids, tokens, slots, one_hot, bits);
  set_bits_of<V256>(ids, tokens, slots, one_hot, bits);
}

// 8 × 8 words transposed.
[[gnu::always_inline]] inline void transpose_words(__m512i* r) {
  __m512i t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
  }
  __m512i u[8];
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      u[i + j] = _mm512_shuffle_i64x2(t[i + j], t[i + j + 2], 0x88);
      u[i + j + 2] = _mm512_shuffle_i64x2(t[i + j], t[i + j + 2], 0xDD);
    }
  }
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm512_shuffle_i64x2(u[j], u[j + 4], 0x88);
    r[j + 4] = _mm512_shuffle_i64x2(u[j], u[j + 4], 0xDD);
  }
}

void to_columns(const std::uint64_t* bits, std::size_t tokens, std::uint64_t* columns) {
  alignas(64) std::uint8_t order[64];  // byte b of word w goes to byte w of word b
  for (int b = 0; b < 8; ++b) {
    for (int w = 0; w < 8; ++w) order[b * 8 + w] = static_cast<std::uint8_t>(w * 8 + b);
  }
  const __m512i by_byte = _mm512_load_si512(order);
  for (std::size_t t = 0; t < tokens; t += 64) {
    std::uint64_t* const to = columns + t / column_tokens * column_tokens + t % column_tokens / 64;
    __m512i plane[8];  // of 64 tokens each: the bytes of 8 tokens in a word
    for (std::size_t g = 0; g < 8; ++g) {
      plane[g] = _mm512_permutexvar_epi8(by_byte, _mm512_loadu_si512(bits + t + g * 8));
    }
    transpose_words(plane);
    for (std::size_t b = 0; b < 8; ++b) {
      for (std::size_t bit = 0; bit < 8; ++bit) {
        to[(b * 8 + bit) * column_words] =
            _cvtmask64_u64(_mm512_test_epi8_mask(plane[b], _mm512_set1_epi8(static_cast<char>(1U << bit))));
      }
    }
  }
}

void cross_columns(const std::uint64_t* a, const std::uint64_t* b, std::size_t tokens, std::size_t rows,
                   std::size_t counters, std::uint32_t* counts) {
  const bool same = a == b;  // a symmetric table: one half is counted, the other copied
  for (std::size_t done = 0; done < tokens; done += column_tokens, a += column_tokens, b += column_tokens) {
    const std::size_t left_tokens = tokens - done;
    const std::size_t end = (left_tokens < column_tokens ? left_tokens : column_tokens) / 64;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::uint64_t* from = a + i * column_words;
      for (std::size_t j = same ? i / 8 * 8 : 0; j < counters; j += 8) {
        const std::uint64_t* to = b + j * column_words;  // columns beyond `counters` exist and are empty
        __m512i sum[8] = {};
        for (std::size_t w = 0; w < end; w += 8) {
          const __m512i left = _mm512_loadu_si512(from + w);
          for (std::size_t q = 0; q < 8; ++q) {
            const __m512i both = _mm512_and_si512(left, _mm512_loadu_si512(to + q * column_words + w));
            sum[q] = _mm512_add_epi64(sum[q], _mm512_popcnt_epi64(both));
          }
        }
        transpose_words(sum);
        const __m512i total =
            _mm512_add_epi64(_mm512_add_epi64(_mm512_add_epi64(sum[0], sum[1]), _mm512_add_epi64(sum[2], sum[3])),
                             _mm512_add_epi64(_mm512_add_epi64(sum[4], sum[5]), _mm512_add_epi64(sum[6], sum[7])));
        const auto mask = static_cast<__mmask8>(counters - j >= 8 ? 0xFFU : (1U << (counters - j)) - 1U);
        std::uint32_t* const cells = counts + i * counters + j;
        const __m256i old = _mm256_maskz_loadu_epi32(mask, cells);
        _mm256_mask_storeu_epi32(cells, mask, _mm256_add_epi32(old, _mm512_cvtepi64_epi32(total)));
      }
    }
  }
  for (std::size_t i = 1; same && i < rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) counts[i * counters + j] = counts[j * counters + i];
  }
}

void sum_bits(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts) {
  if (words <= 4) return sum_run<V512>(bits, tokens, words, counts);
  sum_columns<V256>(bits, tokens, words, counts);
}

void sum_listed(const std::uint64_t* bits, const std::uint16_t* list, std::size_t length, std::size_t words,
                std::size_t counters, std::uint32_t* counts) {
  if (words == 1) return sum_list_columns<std::uint64_t>(bits, list, length, words, counters, counts);
  if (words == 2) return sum_list_columns<V128>(bits, list, length, words, counters, counts);
  sum_list_columns<V256>(bits, list, length, words, counters, counts);
}

}  // namespace

const KernelSet avx512_kernels{"avx512",        "AVX-512 F BW DQ VL VBMI VPOPCNTDQ",
                               set_bits,        sum_bits,
                               sum_ids,         sum_listed,
                               fill_lists_of,   to_columns,
                               cross_columns,   count_bytes_of,
                               weighted_sums_of};

}  // namespace moescope::kernels
#pragma GCC pop_options
#endif
