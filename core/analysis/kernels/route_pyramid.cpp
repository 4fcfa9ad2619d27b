#include "core/analysis/kernels/route_pyramid.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "core/analysis/kernels/row_tile.h"

namespace moescope::kernels {
namespace {

constexpr std::size_t longest_tile = 8192;
constexpr std::size_t whole_tiles_from = 256;  // tokens of a stretch from which on it is a tile of its own
constexpr std::size_t rows_at_once = 8;

constexpr std::size_t covering(std::size_t tokens, std::size_t length) {
  return tokens / length + (tokens % length != 0 ? 1 : 0);
}

// Whether counters of 16 bits hold a stretch, even where a broken trace repeats one expert in all slots.
bool is_narrow(std::size_t length, std::size_t slots) {
  return length <= 0xFFFFU / slots;
}

// Levels above the finest: so many that all together have at most twice its cells. Level m may be there while
// n / 2^m >= m, as rounding up adds at most one stretch for each level.
std::size_t levels_of(std::size_t stretches) {
  std::size_t levels = 1;
  while (levels < 48 && (stretches >> levels) >= levels) ++levels;
  return levels;
}

}  // namespace

std::size_t stretch_length(std::size_t first, std::size_t count, std::size_t most) {
  if (count == 0) return 1;
  most = std::max<std::size_t>(1, most);
  std::size_t length = 1;
  const std::size_t last = first + count - 1;
  while (length < (std::size_t{1} << 62U) && last / length - first / length + 1 > most) length *= 2;
  return length;
}

RoutePyramid::RoutePyramid(const Trace& trace, const PyramidOptions& options) : tokens_(trace.token_count()) {
  row_begin_.push_back(0);
  for (const RouterRow& row : trace.rows()) {
    experts_.push_back(row.experts);
    row_begin_.push_back(row_begin_.back() + row.experts);
  }
  const std::size_t slots = std::max<std::size_t>(1, trace.max_slots());
  const auto bytes_of = [&](std::size_t finest) {
    std::size_t sum = 0;
    const std::size_t levels = levels_of(covering(tokens_, finest));
    for (std::size_t l = 0; l < levels; ++l) {
      const std::size_t stretches = covering(tokens_, finest << l);
      sum += stretches * (row_begin_.back() * (is_narrow(finest << l, slots) ? 2 : 4) + experts_.size() * 4);
    }
    return sum;
  };
  finest_ = std::bit_ceil(std::max<std::size_t>(1, options.shortest));
  while (finest_ < tokens_ && bytes_of(finest_) > options.most_bytes) finest_ *= 2;
  const std::size_t levels = levels_of(covering(tokens_, finest_));
  for (std::size_t l = 0; l < levels; ++l) {
    Level& level = levels_.emplace_back();
    level.stretches = covering(tokens_, finest_ << l);
    const std::size_t cells = level.stretches * row_begin_.back();
    is_narrow(finest_ << l, slots) ? level.narrow.resize(cells) : level.wide.resize(cells);
    level.tokens.resize(level.stretches * experts_.size());
  }
}

std::size_t RoutePyramid::cells(std::size_t level) const {
  return levels_[level].narrow.size() + levels_[level].wide.size();
}

std::size_t RoutePyramid::bytes() const {
  std::size_t sum = 0;
  for (const Level& level : levels_) sum += level.narrow.size() * 2 + level.wide.size() * 4 + level.tokens.size() * 4;
  return sum;
}

// Stretches [begin, end) of the finest level, some rows, whose counters are zero. Tiles are whole stretches where that
// is possible.
void RoutePyramid::count_rows(const Trace& trace, const TokenMask& mask, std::size_t first_row, std::size_t last_row,
                              std::size_t begin, std::size_t end, const WorkContext& work, std::uint64_t& bad) {
  Level& level = levels_[0];
  const std::size_t capacity = finest_ < whole_tiles_from ? longest_tile : std::min(finest_, longest_tile);
  RowTile row_tile(active_kernels(), capacity);
  std::vector<std::uint32_t> sums;
  TileWalker walker(trace, mask, begin * finest_, std::min(end * finest_, tokens_), capacity);
  TokenTile tile;
  while (walker.next(tile)) {
    for (std::size_t r = first_row; r < last_row; ++r) {
      if (work.cancelled()) return;
      const auto row = static_cast<std::uint32_t>(r);
      const std::uint32_t experts = experts_[r];
      row_tile.load(tile, row, experts, false);
      bad += row_tile.bad();
      const auto add = [&](std::size_t stretch, const std::uint32_t* counts, std::size_t tokens) {
        const std::size_t at = place(level, row, stretch);
        if (!level.narrow.empty()) {
          std::uint16_t* const to = level.narrow.data() + at;
          for (std::size_t e = 0; e < experts; ++e) to[e] = static_cast<std::uint16_t>(to[e] + counts[e]);
        } else {
          std::uint32_t* const to = level.wide.data() + at;
          for (std::size_t e = 0; e < experts; ++e) to[e] += counts[e];
        }
        level.tokens[r * level.stretches + stretch] += static_cast<std::uint32_t>(tokens);
      };
      if (tile.global(0) / finest_ == tile.global(tile.tokens - 1) / finest_) {
        add(tile.global(0) / finest_, row_tile.counts().data(), row_tile.tokens_with_expert());
        continue;
      }
      for (std::size_t t = 0; t < tile.tokens;) {
        const std::size_t stretch = tile.global(t) / finest_, from = t;
        while (++t < tile.tokens && tile.global(t) / finest_ == stretch) {
        }
        sums.assign(experts, 0);
        row_tile.add_run(from, t, sums.data());
        add(stretch, sums.data(), row_tile.tokens_with_expert(from, t));
      }
    }
  }
}

void RoutePyramid::clear(std::uint32_t row, std::size_t begin, std::size_t end) {
  Level& level = levels_[0];
  const std::size_t at = place(level, row, begin), cells = (end - begin) * experts_[row];
  if (!level.narrow.empty()) std::fill_n(level.narrow.data() + at, cells, std::uint16_t{0});
  if (!level.wide.empty()) std::fill_n(level.wide.data() + at, cells, 0U);
  std::fill_n(level.tokens.data() + row * level.stretches + begin, end - begin, 0U);
}

// Makes the levels above of the finest stretches [begin, end) of a row.
void RoutePyramid::fold(std::uint32_t row, std::size_t begin, std::size_t end) {
  const std::size_t experts = experts_[row];
  for (std::size_t l = 1; l < levels_.size(); ++l) {
    const Level& below = levels_[l - 1];
    Level& level = levels_[l];
    begin /= 2;
    end = covering(end, 2);
    for (std::size_t s = begin; s < end; ++s) {
      const std::size_t to = place(level, row, s), from = place(below, row, 2 * s);
      const std::size_t second = 2 * s + 1 < below.stretches ? experts : 0;  // the last may stand alone
      const auto sum = [&](const auto& source, auto& sums) {
        using Count = typename std::decay_t<decltype(sums)>::value_type;
        for (std::size_t e = 0; e < experts; ++e) {
          sums[to + e] = static_cast<Count>(source[from + e] + (second > 0 ? source[from + second + e] : 0U));
        }
      };
      if (!level.narrow.empty()) {
        sum(below.narrow, level.narrow);
      } else if (!below.narrow.empty()) {
        sum(below.narrow, level.wide);
      } else {
        sum(below.wide, level.wide);
      }
      const std::uint32_t* const tokens = below.tokens.data() + row * below.stretches + 2 * s;
      level.tokens[row * level.stretches + s] = tokens[0] + (second > 0 ? tokens[1] : 0U);
    }
  }
}

Expected<void> RoutePyramid::extend(const Trace& trace, const TokenMask& mask, std::size_t until, const CountJob& job) {
  const std::size_t end = covering(std::min(until, tokens_), finest_);
  const std::size_t begin = covering(counted_, finest_);  // counted() is the end of a stretch or of the trace
  if (begin >= end) return {};
  const std::size_t groups = covering(experts_.size(), rows_at_once);
  // Pieces of some rows and about 32 thousand tokens.
  const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 15U) / finest_);
  const std::size_t pieces = covering(end - begin, step);
  std::atomic<std::uint64_t> bad = 0;
  auto done = parallel_for(groups * pieces, job.work, job.stage, [&](std::size_t which, std::size_t) {
    const std::size_t group = which % groups, from = begin + which / groups * step;
    std::uint64_t mine = 0;
    count_rows(trace, mask, group * rows_at_once, std::min(experts_.size(), (group + 1) * rows_at_once), from,
               std::min(end, from + step), job.work, mine);
    bad += mine;
  });
  if (done) {
    done = parallel_for(experts_.size(), job.work, {job.stage.name, job.stage.to, job.stage.to},
                        [&](std::size_t row, std::size_t) { fold(static_cast<std::uint32_t>(row), begin, end); });
  }
  if (done && job.work.cancelled()) done = fail(ErrorKind::cancelled, "stopped", job.stage.name);
  if (!done) {
    for (std::uint32_t row = 0; row < experts_.size(); ++row) {
      clear(row, begin, end);
      fold(row, begin, end);
    }
    return done;
  }
  counted_ = std::min(end * finest_, tokens_);
  bad_ += bad;
  return {};
}

StretchCounts RoutePyramid::read(const Trace& trace, const TokenMask& mask, std::uint32_t row, std::size_t first,
                                 std::size_t count, std::size_t length, const WorkContext& work) const {
  StretchCounts out;
  out.experts = experts_[row];
  out.length = std::bit_ceil(std::max<std::size_t>(1, length));
  out.first = first / out.length * out.length;
  const std::size_t end = std::min(tokens_, first + std::min(count, tokens_));
  if (end <= first) return out;
  out.cells = covering(end - out.first, out.length);
  out.counts.resize(out.cells * out.experts);
  out.tokens.resize(out.cells);
  if (out.length >= finest_) {
    std::size_t l = 0;
    while (l + 1 < levels_.size() && (finest_ << (l + 1)) <= out.length) ++l;
    const Level& level = levels_[l];
    const std::size_t each = out.length / (finest_ << l);
    for (std::size_t s = out.first / (finest_ << l); s < level.stretches; ++s) {
      const std::size_t cell = (s - out.first / (finest_ << l)) / each;
      if (cell >= out.cells) break;
      const std::size_t at = place(level, row, s);
      std::uint64_t* const to = out.counts.data() + cell * out.experts;
      for (std::size_t e = 0; e < out.experts; ++e)
        to[e] += level.narrow.empty() ? level.wide[at + e] : level.narrow[at + e];
      out.tokens[cell] += level.tokens[row * level.stretches + s];
    }
    return out;
  }
  RowTile row_tile(active_kernels(), longest_tile);
  std::vector<std::uint32_t> sums;
  TileWalker walker(trace, mask, out.first, std::min(tokens_, out.first + out.cells * out.length), longest_tile);
  TokenTile tile;
  while (walker.next(tile) && !work.cancelled()) {
    row_tile.load(tile, row, out.experts, false);
    for (std::size_t t = 0; t < tile.tokens;) {
      const std::size_t cell = (tile.global(t) - out.first) / out.length, from = t;
      while (++t < tile.tokens && (tile.global(t) - out.first) / out.length == cell) {
      }
      sums.assign(out.experts, 0);
      row_tile.add_run(from, t, sums.data());
      for (std::size_t e = 0; e < out.experts; ++e) out.counts[cell * out.experts + e] += sums[e];
      out.tokens[cell] += row_tile.tokens_with_expert(from, t);
    }
  }
  return out;
}

}  // namespace moescope::kernels
