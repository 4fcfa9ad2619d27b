// Tokens that count, in tiles that fit the second cache: the outermost loop of every kernel. Used by this folder only;
// one walker belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope::kernels {

// Tokens of one segment that count, ascending.
struct TokenTile {
  const Segment* segment = nullptr;
  std::size_t tokens = 0;
  std::size_t first = 0;                   // in the segment; all of [first, first + tokens) where `offsets` is null
  const std::uint32_t* offsets = nullptr;  // from the segment's start
  std::size_t segment_begin = 0;           // token of the trace at the segment's start
  [[nodiscard]] std::size_t token(std::size_t i) const { return offsets ? offsets[i] : first + i; }
  [[nodiscard]] std::size_t global(std::size_t i) const { return segment_begin + token(i); }
};

// Walks the tokens [begin, end) of a trace that a mask keeps. Words of the mask without a token cost one look.
class TileWalker {
 public:
  TileWalker(const Trace& trace, const TokenMask& mask, std::size_t begin, std::size_t end, std::size_t capacity);
  // False at the end. The tile is valid until the next call.
  [[nodiscard]] bool next(TokenTile& tile);

 private:
  const Trace& trace_;
  const TokenMask& mask_;
  std::size_t at_, end_, capacity_;
  std::size_t segment_ = 0, segment_begin_ = 0;
  std::vector<std::uint32_t> offsets_;
};

}  // namespace moescope::kernels
