// The inner loops of counting, once for each instruction set: bits of a token's experts, sums of bit columns, lists of
// tokens by expert, and pairs of bit columns. Chosen at run time. Used by the kernels of this folder (and the
// benchmark, which compares them); any thread.
//
// A token's experts at a row are a bit set of `words` 64-bit words. Adding up the sets of many tokens column by column
// with full adders (bit-sliced counters, Harley and Seal) costs a few operations for each set instead of one increment
// of memory for each expert in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/export.h"

namespace moescope::kernels {

// Words of a bit set of E experts: 1, 2, 4 or a multiple of 4, so that sets fill vector registers.
[[nodiscard]] constexpr std::size_t words_of(std::uint32_t experts) {
  return experts <= 64 ? 1 : experts <= 128 ? 2 : (experts + 255U) / 256U * 4U;
}
// Blocks of bit columns: 64 columns of this many words.
inline constexpr std::size_t column_words = 64;
inline constexpr std::size_t column_tokens = column_words * 64;
// Lists of tokens are padded to this many entries.
inline constexpr std::size_t list_unit = 16;

struct KernelSet {
  const char* name;          // "portable", "avx2", "avx512"
  const char* instructions;  // in words, for reports
  // bits[tokens × words] from ids[tokens × slots]: the union of one_hot[id × words]. `words` is 1, 2 or 4.
  void (*set_bits)(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, const std::uint64_t* one_hot,
                   std::size_t words, std::uint64_t* bits);
  // counts[words × 64] += how many of the sets hold each bit. `words` is 1, 2 or a multiple of 4.
  void (*sum_bits)(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts);
  // The same for the sets of ids[tokens × 8] of up to 64 experts, which are not written down: counts[64] += …; false
  // when an id was 64 or more, counts then mean nothing. Null where set_bits() or count_bytes() are as fast.
  bool (*sum_ids)(const std::uint8_t* ids, std::size_t tokens, std::uint32_t* counts);
  // The same for the sets in a list of token numbers, a multiple of list_unit long; counts[counters] += …
  void (*sum_listed)(const std::uint64_t* bits, const std::uint16_t* list, std::size_t length, std::size_t words,
                     std::size_t counters, std::uint32_t* counts);
  // lists[cursor[id]++] = token for every slot, in the order of tokens.
  void (*fill_lists)(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, std::uint32_t* cursor,
                     std::uint16_t* lists);
  // Bit columns of one-word sets, in blocks of column_tokens that fill the first cache without gaps:
  // columns[t / column_tokens × column_tokens + bit × column_words + t % column_tokens / 64] bit t % 64. `tokens` is a
  // multiple of 512. Null (as cross_columns) where lists are faster.
  void (*to_columns)(const std::uint64_t* bits, std::size_t tokens, std::uint64_t* columns);
  // counts[i × counters + j] += tokens that have bit i in `a` and bit j in `b`, for i < rows and j < counters.
  void (*cross_columns)(const std::uint64_t* a, const std::uint64_t* b, std::size_t tokens, std::size_t rows,
                        std::size_t counters, std::uint32_t* counts);
  // counts[v] += how often byte v occurs.
  void (*count_bytes)(const std::uint8_t* bytes, std::size_t count, std::uint32_t counts[256]);
  // sums[draw × columns + c] = sum over rows of times[draw × rows + row] · counts[row × columns + c].
  void (*weighted_sums)(const std::uint32_t* counts, std::size_t rows, std::size_t columns, const std::uint32_t* times,
                        std::size_t draws, double* sums);
};

// All that this machine can run, best first.
[[nodiscard]] MOESCOPE_API std::span<const KernelSet* const> runnable_kernels();
// The set in use: the best one, or what MOESCOPE_SIMD names (portable, avx2, avx512) if the machine has it.
[[nodiscard]] MOESCOPE_API const KernelSet& active_kernels();
// Takes another set, for benchmarks and tests; false when the machine has none of this name.
MOESCOPE_API bool use_kernels(const std::string& name);

}  // namespace moescope::kernels
