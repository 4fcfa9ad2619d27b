#include "core/analysis/routes.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <unordered_map>

namespace moescope {
namespace {

template <typename Id>
std::size_t copy_flat(const Id* ids, std::size_t count, std::uint32_t experts, std::uint16_t* out) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t id = ids[i];
    out[i] = static_cast<std::uint16_t>(std::min(id, experts));
    bad += id >= experts ? 1U : 0U;
  }
  return bad;
}

template <typename Id>
std::size_t decode(const Tile& tile, const Id* ids, std::uint32_t row, std::uint32_t experts, std::size_t ranks,
                   std::uint16_t* out) {
  const Segment& segment = *tile.segment;
  const std::size_t slots = segment.slots;
  const std::size_t base = row * segment.tokens + tile.first;
  const std::uint8_t* used = segment.used.empty() ? nullptr : segment.used.values.data() + base;
  ids += base * slots;
  constexpr Id unfilled = std::numeric_limits<Id>::max();

  if (tile.dense && ranks == slots) {
    // The usual case: every slot is filled, so the tile is one run.
    const std::size_t count = tile.size() * slots;
    const bool full = used ? std::all_of(used, used + tile.size(), [&](std::uint8_t u) { return u == slots; })
                           : std::find(ids, ids + count, unfilled) == ids + count;
    if (full) return copy_flat(ids, count, experts, out);
  }
  const std::size_t readable = std::min(ranks, slots);
  std::size_t bad = 0;
  for (std::size_t t = 0; t < tile.size(); ++t, out += ranks) {
    const std::size_t offset = tile.offsets[t];
    const Id* token = ids + offset * slots;
    std::size_t filled = readable;
    if (used) {
      filled = used[offset] <= used_code::max_filled ? std::min<std::size_t>(used[offset], readable) : 0;
    }
    std::size_t s = 0;
    for (; s < filled; ++s) {
      if (!used && token[s] == unfilled) break;
      const std::uint32_t id = token[s];
      out[s] = static_cast<std::uint16_t>(std::min(id, experts));
      bad += id >= experts ? 1U : 0U;
    }
    for (; s < ranks; ++s) out[s] = static_cast<std::uint16_t>(experts);
  }
  return bad;
}

// Where all ones is an expert, only the segment knows what is filled.
std::size_t decode_by_token(const Tile& tile, std::uint32_t row, std::uint32_t experts, std::size_t ranks,
                            std::uint16_t* out) {
  std::size_t bad = 0;
  for (std::size_t t = 0; t < tile.size(); ++t, out += ranks) {
    const std::size_t filled = std::min(ranks, tile.segment->filled(row, tile.token(t)));
    for (std::size_t s = 0; s < filled; ++s) {
      out[s] = static_cast<std::uint16_t>(tile.segment->id_below(experts, row, tile.token(t), s));
      bad += out[s] == experts ? 1U : 0U;
    }
    std::fill(out + filled, out + ranks, static_cast<std::uint16_t>(experts));
  }
  return bad;
}

}  // namespace

std::vector<Chunk> chunks_of(const Trace& trace) {
  std::vector<Chunk> chunks;
  std::size_t global = 0;
  for (const auto& segment : trace.segments) {
    for (std::size_t first = 0; first < segment->tokens; first += chunk_tokens) {
      chunks.push_back({segment.get(), first, std::min(chunk_tokens, segment->tokens - first), global + first});
    }
    global += segment->tokens;
  }
  return chunks;
}

Tile TileWalker::next() {
  while (done_ < chunk_.tokens) {
    const std::size_t begin = done_;
    const std::size_t extent = std::min(tile_tokens, chunk_.tokens - begin);
    done_ += extent;
    if (mask_.all()) {
      if (!counted_up_) std::iota(std::begin(offsets_), std::end(offsets_), std::uint16_t{0});
      counted_up_ = true;
      return Tile{chunk_.segment, chunk_.first + begin, chunk_.global + begin, {offsets_, extent}, true};
    }
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < extent; ++i) {
      offsets_[chosen] = static_cast<std::uint16_t>(i);
      chosen += mask_.test(chunk_.global + begin + i) ? 1U : 0U;
    }
    if (chosen > 0) {
      return Tile{chunk_.segment, chunk_.first + begin, chunk_.global + begin, {offsets_, chosen}, chosen == extent};
    }
  }
  return Tile{};
}

std::size_t decode_ids(const Tile& tile, std::uint32_t row, std::uint32_t experts, std::size_t ranks,
                       std::uint16_t* out) {
  const Segment& segment = *tile.segment;
  if (segment.used.empty() && !segment.all_ones_is_expert.empty() && segment.all_ones_is_expert[row] != 0) {
    return decode_by_token(tile, row, experts, ranks, out);
  }
  if (!segment.ids8.empty()) return decode(tile, segment.ids8.values.data(), row, experts, ranks, out);
  if (!segment.ids16.empty()) return decode(tile, segment.ids16.values.data(), row, experts, ranks, out);
  std::fill_n(out, tile.size() * ranks, static_cast<std::uint16_t>(experts));
  return 0;
}

void decode_weights(const Tile& tile, std::uint32_t row, std::size_t ranks, float* out) {
  const Segment& segment = *tile.segment;
  std::fill_n(out, tile.size() * ranks, std::numeric_limits<float>::quiet_NaN());
  if (segment.gate_weights.empty()) return;
  const std::size_t base = row * segment.tokens + tile.first;
  const std::size_t readable = std::min(ranks, segment.slots);
  if (tile.dense && readable == segment.slots && readable == ranks) {
    segment.gate_weights.read(base * segment.slots, {out, tile.size() * ranks});
    return;
  }
  for (std::size_t t = 0; t < tile.size(); ++t) {
    segment.gate_weights.read((base + tile.offsets[t]) * segment.slots, {out + t * ranks, readable});
  }
}

SequenceIndex sequence_index(const Trace& trace) {
  SequenceIndex index;
  const bool recorded =
      !trace.segments.empty() && std::all_of(trace.segments.begin(), trace.segments.end(),
                                             [](const auto& segment) { return !segment->sequence_ids.empty(); });
  if (!recorded) return index;
  index.recorded = true;
  index.of_token.reserve(trace.token_count());
  std::unordered_map<std::int32_t, std::uint32_t> ordinals;
  std::int32_t last = 0;
  std::uint32_t ordinal = 0;
  for (const auto& segment : trace.segments) {
    for (const std::int32_t id : segment->sequence_ids.values) {
      if (index.of_token.empty() || id != last) {
        ordinal = ordinals.try_emplace(id, static_cast<std::uint32_t>(ordinals.size())).first->second;
        last = id;
      }
      index.of_token.push_back(ordinal);
    }
  }
  index.count = std::max<std::size_t>(1, ordinals.size());
  return index;
}

int row_at_distance(const std::vector<RouterRow>& rows, std::uint32_t row, std::size_t distance) {
  if (row >= rows.size()) return -1;
  std::size_t seen = 0;
  for (std::size_t r = row; r < rows.size(); ++r) {
    if (rows[r].block != rows[row].block || rows[r].site != rows[row].site) continue;
    if (seen++ == distance) return static_cast<int>(r);
  }
  return -1;
}

}  // namespace moescope
