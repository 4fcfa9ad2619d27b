#include "core/analysis/kernels/token_tiles.h"

#include <algorithm>
#include <bit>

namespace moescope::kernels {

TileWalker::TileWalker(const Trace& trace, const TokenMask& mask, std::size_t begin, std::size_t end,
                       std::size_t capacity)
    : trace_(trace), mask_(mask), at_(begin), end_(std::min(end, trace.token_count())), capacity_(capacity) {
  if (!mask.all()) offsets_.resize(capacity);
}

bool TileWalker::next(TokenTile& tile) {
  while (at_ < end_) {
    while (segment_ < trace_.segments.size() && at_ >= segment_begin_ + trace_.segments[segment_]->tokens) {
      segment_begin_ += trace_.segments[segment_++]->tokens;
    }
    if (segment_ >= trace_.segments.size()) return false;
    const Segment& segment = *trace_.segments[segment_];
    const std::size_t stop = std::min(end_, segment_begin_ + segment.tokens);
    tile = TokenTile{&segment, 0, at_ - segment_begin_, nullptr, segment_begin_};
    if (mask_.all()) {
      tile.tokens = std::min(capacity_, stop - at_);
      at_ += tile.tokens;
      return true;
    }
    std::size_t count = 0;
    while (at_ < stop && count < capacity_) {
      const std::size_t bit = at_ & 63U;
      std::uint64_t word = mask_.bits[at_ >> 6U] >> bit;
      const std::size_t span = std::min<std::size_t>({64 - bit, stop - at_});
      if (span < 64) word &= (std::uint64_t{1} << span) - 1;
      const std::size_t chosen = static_cast<std::size_t>(std::popcount(word));
      if (chosen > capacity_ - count) {
        // The word is cut where the tile is full.
        while (count < capacity_) {
          const auto skip = static_cast<std::size_t>(std::countr_zero(word));
          offsets_[count++] = static_cast<std::uint32_t>(at_ + skip - segment_begin_);
          word &= word - 1;
        }
        at_ = segment_begin_ + offsets_[count - 1] + 1;
        break;
      }
      for (; word != 0; word &= word - 1) {
        offsets_[count++] =
            static_cast<std::uint32_t>(at_ + static_cast<std::size_t>(std::countr_zero(word)) - segment_begin_);
      }
      at_ += span;
    }
    if (count == 0) continue;
    tile.tokens = count;
    tile.first = offsets_[0];
    if (offsets_[count - 1] - offsets_[0] + 1 != count) tile.offsets = offsets_.data();
    return true;
  }
  return false;
}

}  // namespace moescope::kernels
