#include "core/trace/token_uses.h"

#include <algorithm>
#include <cstring>

namespace moescope {
namespace {

constexpr std::size_t tokens_at_a_time = 1U << 16U;  // tokens at a time

// Bits of one segment from its token `first` on, found the plain way.
void find_plainly(const Segment& segment, std::uint32_t row, std::uint32_t expert, std::size_t first,
                  std::size_t tokens, std::uint64_t* found) {
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t filled = segment.filled(row, first + t);
    for (std::size_t s = 0; s < filled; ++s) {
      if (segment.id(row, first + t, s) == expert) found[t / 64] |= std::uint64_t{1} << (t % 64);
    }
  }
}

// The same where every slot of every token is filled: bytes alone tell.
void find_bytes(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, std::uint8_t expert,
                std::uint64_t* found) {
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::uint8_t* const token = ids + t * slots;
    std::uint64_t any = 0;
    if (slots == 8) {
      // The classic test of a word for a zero byte.
      std::uint64_t eight = 0;
      std::memcpy(&eight, token, 8);
      eight ^= 0x0101010101010101ULL * expert;
      any = ((eight - 0x0101010101010101ULL) & ~eight & 0x8080808080808080ULL) != 0 ? 1 : 0;
    } else {
      for (std::size_t s = 0; s < slots; ++s) any |= token[s] == expert ? 1U : 0U;
    }
    found[t / 64] |= any << (t % 64);
  }
}

}  // namespace

std::vector<std::uint64_t> tokens_using(const Trace& trace, std::uint32_t row, std::uint32_t expert) {
  std::vector<std::uint64_t> bits((trace.token_count() + 63) / 64);
  if (row >= trace.rows().size() || expert >= trace.rows()[row].experts) return bits;
  std::vector<std::uint64_t> found(tokens_at_a_time / 64);
  std::size_t begin = 0;
  for (const auto& segment : trace.segments) {
    for (std::size_t first = 0; first < segment->tokens; first += tokens_at_a_time) {
      const std::size_t tokens = std::min(tokens_at_a_time, segment->tokens - first);
      std::fill(found.begin(), found.end(), 0U);
      const std::size_t base = row * segment->tokens + first;
      // Where each slot is filled, bytes alone tell; all ones may be an unfilled slot.
      const bool full = !segment->ids8.empty() && expert < 255 && segment->slots > 0 &&
                        (segment->used.empty() ||
                         std::all_of(segment->used.values.begin() + static_cast<std::ptrdiff_t>(base),
                                     segment->used.values.begin() + static_cast<std::ptrdiff_t>(base + tokens),
                                     [&](std::uint8_t used) { return used == segment->slots; })) &&
                        (!segment->used.empty() || std::memchr(segment->ids8.values.data() + base * segment->slots,
                                                               0xFF, tokens * segment->slots) == nullptr);
      if (full) {
        find_bytes(segment->ids8.values.data() + base * segment->slots, tokens, segment->slots,
                   static_cast<std::uint8_t>(expert), found.data());
      } else if (segment->has_ids()) {
        find_plainly(*segment, row, expert, first, tokens, found.data());
      }
      for (std::size_t t = 0; t < tokens; t += 64) {
        const std::size_t at = begin + first + t;
        const std::uint64_t word = found[t / 64];
        bits[at / 64] |= word << (at % 64);
        if (at % 64 != 0 && (word >> (64 - at % 64)) != 0) bits[at / 64 + 1] |= word >> (64 - at % 64);
      }
    }
    begin += segment->tokens;
  }
  return bits;
}

}  // namespace moescope
