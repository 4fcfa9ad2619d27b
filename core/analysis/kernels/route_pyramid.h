// Counts of routes over stretches of tokens at every scale: what zoomable pictures of a long trace are drawn from. One
// pass over the ids fills the finest level, whose stretches are as short as the memory allows; each further level adds
// two stretches of the one below, so that all levels together have at most twice the cells of the finest. Stretches
// shorter than the finest level's are counted from the ids when they are asked for. Used by token_map; a pyramid is
// filled by one thread at a time and may then be read by several.
#pragma once

#include <cstdint>
#include <vector>

#include "core/analysis/kernels/counting.h"
#include "core/base/export.h"

namespace moescope::kernels {

struct PyramidOptions {
  std::size_t most_bytes = std::size_t{64} << 20U;  // of all levels
  std::size_t shortest = 16;                        // tokens of the finest level's stretches, a power of two
  bool operator==(const PyramidOptions&) const = default;
};

// Counts of one row over neighbouring stretches of `length` tokens that begin at multiples of it.
struct StretchCounts {
  std::uint32_t experts = 0;
  std::size_t first = 0;   // token at which the first stretch begins
  std::size_t length = 1;  // a power of two
  std::size_t cells = 0;
  std::vector<std::uint64_t> counts;  // [cell × experts]
  std::vector<std::uint64_t> tokens;  // [cell]: tokens that count and have an expert
};

class MOESCOPE_API RoutePyramid {
 public:
  // Empty levels for a trace. It and its mask are given again to every call below and must stay the same.
  RoutePyramid(const Trace& trace, const PyramidOptions& options);

  // Counts on from counted() to the token `until`, or to the end of the finest stretch that it lies in. After an error
  // (cancelled, internal) counted() is what it was before.
  [[nodiscard]] Expected<void> extend(const Trace& trace, const TokenMask& mask, std::size_t until,
                                      const CountJob& job);
  [[nodiscard]] std::size_t counted() const { return counted_; }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }  // filled slots that hold no expert of their row

  [[nodiscard]] std::size_t finest() const { return finest_; }  // tokens of the finest level's stretches
  [[nodiscard]] std::size_t levels() const { return levels_.size(); }
  [[nodiscard]] std::size_t cells(std::size_t level) const;  // counters of a level, all rows
  [[nodiscard]] std::size_t bytes() const;

  // The tokens [first, first + count) of a row in stretches of `length` (a power of two); the first and the last may
  // reach beyond. Tokens from counted() on count for nothing, unless stretches are so short that ids are read. A cancel
  // leaves the rest zero.
  [[nodiscard]] StretchCounts read(const Trace& trace, const TokenMask& mask, std::uint32_t row, std::size_t first,
                                   std::size_t count, std::size_t length, const WorkContext& work = {}) const;

 private:
  struct Level {
    std::size_t stretches = 0;
    // [row][stretch × experts of the row]; one of them, by how many slots a stretch may have.
    std::vector<std::uint16_t> narrow;
    std::vector<std::uint32_t> wide;
    std::vector<std::uint32_t> tokens;  // [row × stretch]
  };
  // Counters of a stretch of a row.
  [[nodiscard]] std::size_t place(const Level& level, std::uint32_t row, std::size_t stretch) const {
    return row_begin_[row] * level.stretches + stretch * experts_[row];
  }
  void count_rows(const Trace& trace, const TokenMask& mask, std::size_t first_row, std::size_t last_row,
                  std::size_t begin, std::size_t end, const WorkContext& work, std::uint64_t& bad);
  void clear(std::uint32_t row, std::size_t begin, std::size_t end);
  void fold(std::uint32_t row, std::size_t begin, std::size_t end);

  std::size_t tokens_ = 0, finest_ = 1, counted_ = 0;
  std::uint64_t bad_ = 0;
  std::vector<std::uint32_t> experts_;
  std::vector<std::size_t> row_begin_;  // sum of the experts of the rows before; one more at the end
  std::vector<Level> levels_;
};

// Shortest stretches, a power of two long, of which at most `most` cover the tokens [first, first + count).
[[nodiscard]] MOESCOPE_API std::size_t stretch_length(std::size_t first, std::size_t count, std::size_t most);

}  // namespace moescope::kernels
