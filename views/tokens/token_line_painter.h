// Paints one line of token text: each token on its colour, with the marks for selected, found, hovered and brushed, and
// the gutter with sequence and line number. Main thread only.
#pragma once

#include <QPainter>
#include <optional>
#include <set>

#include "core/trace/selection.h"
#include "views/tokens/token_colors.h"
#include "views/tokens/token_lines.h"

namespace moescope {

inline constexpr double token_text_pixels = 14;

// What a line is painted with; lives for one repaint.
struct TokenLook {
  const Trace& trace;
  const TokenMask& mask;
  const TokenColoring& coloring;
  const Selection& selection;
  const std::set<std::uint64_t>& hits;
  std::optional<std::uint64_t> hovered;
  std::uint64_t brush_first = 1, brush_last = 0;  // first > last = none
  double gutter = 128, left = 128, width = 800, line_height = 27, cell = 8.4;
};

void paint_token_line(QPainter& painter, const TokenLook& look, const TokenLine& line, double y);

}  // namespace moescope
