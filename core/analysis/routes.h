// Decoding of routes for counting: tokens that count, in tiles small enough for the first cache, ids widened to 16 bits
// with one sink value for every slot that holds no expert. Used by the analyses of this folder, from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/export.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

inline constexpr std::size_t tile_tokens = 512;

// A stretch of one segment, the unit of parallel work. A cancel is looked for between chunks (and within long ones).
struct Chunk {
  const Segment* segment = nullptr;
  std::size_t first = 0;   // token in the segment
  std::size_t tokens = 0;  // at most chunk_tokens
  std::size_t global = 0;  // token of the whole trace at `first`
};
inline constexpr std::size_t chunk_tokens = 32 * tile_tokens;

[[nodiscard]] MOESCOPE_API std::vector<Chunk> chunks_of(const Trace& trace);

// Tokens of a tile that count: offsets from `first` in `segment`, ascending. `dense`: all of [first, first + size).
struct Tile {
  const Segment* segment = nullptr;
  std::size_t first = 0;
  std::size_t global = 0;
  std::span<const std::uint16_t> offsets;
  bool dense = false;
  [[nodiscard]] std::size_t size() const { return offsets.size(); }
  [[nodiscard]] std::size_t token(std::size_t i) const { return first + offsets[i]; }          // in the segment
  [[nodiscard]] std::size_t global_token(std::size_t i) const { return global + offsets[i]; }  // of the trace
};

// Walks the tiles of a chunk under a mask; tiles without a token that counts are left out.
class TileWalker {
 public:
  TileWalker(const Chunk& chunk, const TokenMask& mask) : chunk_(chunk), mask_(mask) {}
  // The next tile, valid until the next call; empty at the end.
  [[nodiscard]] MOESCOPE_API Tile next();

 private:
  const Chunk& chunk_;
  const TokenMask& mask_;
  std::size_t done_ = 0;
  bool counted_up_ = false;  // offsets_ is 0, 1, 2, …
  std::uint16_t offsets_[tile_tokens];
};

// Ids of one row for the tokens of a tile: out[size × ranks], the leading `ranks` slots of each token. A slot that is
// unfilled, of a token that was dropped or not recorded, beyond the segment's slots or with an id >= experts holds
// `experts`, so tables of experts + 1 columns never overflow. Returns how many filled slots had an id >= experts.
MOESCOPE_API std::size_t decode_ids(const Tile& tile, std::uint32_t row, std::uint32_t experts, std::size_t ranks,
                                    std::uint16_t* out);

// Gate weights in the same layout; NaN where not recorded.
MOESCOPE_API void decode_weights(const Tile& tile, std::uint32_t row, std::size_t ranks, float* out);

// Sequences of a trace as ordinals 0..count-1 in order of first appearance. Without recorded sequences, one for all.
struct SequenceIndex {
  std::vector<std::uint32_t> of_token;  // [token of the trace]; empty when there is only one sequence
  std::size_t count = 1;
  bool recorded = false;
  [[nodiscard]] std::uint32_t at(std::size_t token) const { return of_token.empty() ? 0 : of_token[token]; }
};
[[nodiscard]] MOESCOPE_API SequenceIndex sequence_index(const Trace& trace);

// The row `distance` further on in the same block and site, or -1.
[[nodiscard]] MOESCOPE_API int row_at_distance(const std::vector<RouterRow>& rows, std::uint32_t row,
                                               std::size_t distance);

}  // namespace moescope
