// Figure: a Result made drawable. Marks in figure pixels, colours as roles, no toolkit. Views paint it with their
// theme, reports write SVG from it, tests check it without pixels. Built on any thread; immutable afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/export.h"
#include "core/base/ids.h"

namespace moescope {

// Roles of the style sheet; a theme gives each its colour.
enum class ColorRole : std::uint8_t {
  window,
  panel,
  raised,
  sunken,
  line,
  control_border,
  grid,
  text_1,
  text_2,
  text_3,
  accent,
  accent_wash,
  text_on_accent,
  warning,
  error,
  good,
  neutral_bar,
  neutral_bar_2,
  null_band,
  none
};

// A colour that a theme can resolve. `alpha` multiplies.
struct Paint {
  enum class Kind : std::uint8_t { role, category, magnitude, lift, on_magnitude, on_lift };
  Kind kind = Kind::role;
  ColorRole role = ColorRole::none;
  int category = 0;  // index into the categorical set; >= its size = "other" grey
  double value = 0;  // magnitude: 0..1 of the map; lift: log2, -2..2; on_*: text readable on that cell
  double alpha = 1;

  static Paint of(ColorRole r, double a = 1) { return {Kind::role, r, 0, 0, a}; }
  static Paint of_category(int c, double a = 1) { return {Kind::category, ColorRole::none, c, 0, a}; }
  static Paint of_magnitude(double v, double a = 1) { return {Kind::magnitude, ColorRole::none, 0, v, a}; }
  static Paint of_lift(double v, double a = 1) { return {Kind::lift, ColorRole::none, 0, v, a}; }
};

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};
enum class Theme : std::uint8_t { dark, light };
// Colour of a paint in a theme, from the style sheet. `none` is magenta, so that it is seen.
[[nodiscard]] MOESCOPE_API Rgb resolve(const Paint& paint, Theme theme);

// The magnitude map (viridis, 256 steps), for scenes that upload it as a lookup table. Static storage.
[[nodiscard]] MOESCOPE_API const std::array<Rgb, 256>& magnitude_map();
// Number of categorical colours; a paint with a higher category is "other" grey.
inline constexpr int category_count = 6;
// WCAG relative luminance, 0..1. Text on a coloured cell is near-black above 0.22, else white.
[[nodiscard]] MOESCOPE_API double relative_luminance(Rgb colour);

struct Point {
  double x = 0, y = 0;
};
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

enum class FontRole : std::uint8_t { ui, ui_small, axis, tick, head, title, mono, mono_small, mono_text };
enum class Anchor : std::uint8_t { start, middle, end };

// What a mark stands for: hit-testing gives this back.
struct Pick {
  std::variant<std::monostate, ExpertRef, LinkRef, std::uint64_t /* token */, std::int32_t /* row */> what;
  std::string tooltip;  // lines separated by \n; the first is the head. Ctrl+C copies it
};

struct RectMark {
  double x = 0, y = 0, width = 0, height = 0, radius = 0;
  Paint fill = Paint::of(ColorRole::none);
  Paint stroke = Paint::of(ColorRole::none);
  double stroke_width = 0;
  bool hatched = false;  // 45° hatch in `line` over the fill: filtered out or not recorded
};
struct LineMark {
  std::vector<Point> points;
  Paint stroke;
  double width = 1;
  std::vector<double> dash;
  bool closed = false;
  Paint fill = Paint::of(ColorRole::none);
};
// Cubic from points[0] through control points to points[3].
struct CurveMark {
  std::array<Point, 4> points;
  Paint stroke;
  double width = 1;
};
struct CircleMark {
  Point center;
  double radius = 3;
  Paint fill;
  Paint stroke = Paint::of(ColorRole::none);
  double stroke_width = 0;
};
struct TextMark {
  Point at;  // baseline
  std::string text;
  FontRole font = FontRole::axis;
  Paint fill = Paint::of(ColorRole::text_2);
  Anchor anchor = Anchor::start;
  double angle = 0;  // degrees, counter-clockwise
  bool bold = false;
};

// A mark, its layer (ascending paint order) and what it stands for.
struct Mark {
  std::variant<RectMark, LineMark, CurveMark, CircleMark, TextMark> shape;
  int layer = 0;
  int pick = -1;  // index into Figure::picks
};

// Box of one mark; texts by the estimate of text_width().
[[nodiscard]] MOESCOPE_API Box bounds_of(const Mark& mark);

struct Figure {
  double width = 0, height = 0;
  std::string title, caption;  // caption: one or two sentences with n, for reports and accessibility
  std::vector<Mark> marks;     // sorted by layer
  std::vector<Pick> picks;
  ResultPtr source;  // what it was drawn from: CSV, JSON, provenance

  // The topmost pick at a point, hit areas padded by `slack` pixels; null when there is none. Any thread.
  [[nodiscard]] MOESCOPE_API const Pick* pick_at(Point at, double slack = 2) const;
  // Box round all marks of a pick of this figure, for a hover ring; nothing if none carries it.
  [[nodiscard]] MOESCOPE_API std::optional<Box> bounds_of(const Pick& pick) const;
};

// How a font role is set: the mono face is JetBrains Mono, the other Inter. `size` in pixels; weight 400 or 600.
struct FontSpec {
  bool mono = false;
  double size = 11;
  int weight = 400;
};
[[nodiscard]] MOESCOPE_API FontSpec font_spec(FontRole font);
[[nodiscard]] MOESCOPE_API double font_size(FontRole font);
// Estimate in pixels of a text's width in a font role (no toolkit: from advance tables of the two faces).
[[nodiscard]] MOESCOPE_API double text_width(const std::string& utf8, FontRole font, bool bold = false);

// SVG of a figure in a theme; self-contained text elements, no script. `standalone` adds the XML head and a background.
[[nodiscard]] MOESCOPE_API std::string figure_to_svg(const Figure& figure, Theme theme, bool standalone);

}  // namespace moescope
