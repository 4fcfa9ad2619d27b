#include <gtest/gtest.h>

#include <cmath>

#include "core/figure/axis.h"
#include "core/figure/figure_builder.h"
#include "core/figure/number_format.h"
#include "core/figure/utf8.h"
#include "tests/core/figure/figure_fixture.h"

namespace moescope::palette_test {
namespace {

double contrast(Rgb a, Rgb b) {
  const double x = relative_luminance(a);
  const double y = relative_luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST(Palette, TextOnPanelKeepsTheContrastOfTheStyleSheet) {
  for (const Theme theme : {Theme::dark, Theme::light}) {
    const Rgb panel = resolve(Paint::of(ColorRole::panel), theme);
    for (const ColorRole role : {ColorRole::text_1, ColorRole::text_2, ColorRole::text_3, ColorRole::accent,
                                 ColorRole::warning, ColorRole::error, ColorRole::good})
      EXPECT_GE(contrast(resolve(Paint::of(role), theme), panel), 4.5) << static_cast<int>(role);
    for (int c = 0; c <= category_count; ++c)
      EXPECT_GE(contrast(resolve(Paint::of_category(c), theme), panel), 2.9) << c;
    EXPECT_GE(
        contrast(resolve(Paint::of(ColorRole::text_on_accent), theme), resolve(Paint::of(ColorRole::accent), theme)),
        4.5);
  }
}

TEST(Palette, AnyCellOfAMapHasReadableText) {
  for (const Theme theme : {Theme::dark, Theme::light}) {
    for (int i = 0; i <= 100; ++i) {
      Paint cell = Paint::of_magnitude(i / 100.0);
      Paint on = cell;
      on.kind = Paint::Kind::on_magnitude;
      EXPECT_GE(contrast(resolve(cell, theme), resolve(on, theme)), 3.8) << i;
      cell = Paint::of_lift(i / 25.0 - 2);
      on = cell;
      on.kind = Paint::Kind::on_lift;
      EXPECT_GE(contrast(resolve(cell, theme), resolve(on, theme)), 3.8) << i;
    }
  }
}

TEST(Palette, MapsRiseInLuminanceAndClampOutsideTheirRange) {
  for (int i = 1; i < 256; ++i)
    EXPECT_GT(relative_luminance(magnitude_map()[static_cast<std::size_t>(i)]) + 1e-3,
              relative_luminance(magnitude_map()[static_cast<std::size_t>(i - 1)]));
  EXPECT_EQ(resolve(Paint::of_magnitude(7), Theme::dark), (Rgb{0xFD, 0xE7, 0x25}));
  EXPECT_EQ(resolve(Paint::of_magnitude(std::nan("")), Theme::dark), (Rgb{0x44, 0x01, 0x54}));
  EXPECT_EQ(resolve(Paint::of_lift(0), Theme::light), (Rgb{0xF3, 0xF3, 0xF2}));
  EXPECT_EQ(resolve(Paint::of_lift(-9), Theme::light), (Rgb{0x0B, 0x3C, 0x6F}));
  EXPECT_EQ(resolve(Paint::of_category(99), Theme::dark), resolve(Paint::of_category(-1), Theme::dark));
}

TEST(NumberFormat, WritesNumbersAsTheStyleSheetSays) {
  EXPECT_EQ(format_count(12522), "12,522");
  EXPECT_EQ(format_count(1234567.4), "1,234,567");
  EXPECT_EQ(format_percent(0.368), "36.8\u202F%");
  EXPECT_EQ(format_number(-0.004, 2), "0.00");
  EXPECT_EQ(format_number(-1234.5, 1), "−1,234.5");
  EXPECT_EQ(format_short(0.25), "0.25");
  EXPECT_EQ(format_short(4), "4");
  EXPECT_EQ(format_short(0.000123456), "0.000123");
  EXPECT_EQ(format_count(std::nan("")), "–");
  EXPECT_EQ(format_interval(0.73, 0.83, 2), " [0.73, 0.83]");
  EXPECT_EQ(format_interval(std::nan(""), 1, 2), "");
}

TEST(Axis, TicksAreNiceAndInside) {
  EXPECT_EQ(nice_ticks(0, 0.3, 3), (std::vector<double>{0, 0.1, 0.2, 0.30000000000000004}));
  EXPECT_EQ(nice_ticks(3, 3), std::vector<double>{3});
  EXPECT_TRUE(nice_ticks(0, std::nan("")).empty());
  EXPECT_DOUBLE_EQ(nice_ceiling(0.368), 0.4);
  EXPECT_DOUBLE_EQ(nice_ceiling(6.1), 8);
  EXPECT_DOUBLE_EQ(nice_ceiling(-1), 1);
}

TEST(Utf8, BrokenBytesBecomeReplacementsAndNothingIsReadPastTheEnd) {
  EXPECT_EQ(decode_utf8("aé→").size(), 3U);
  EXPECT_EQ(encode_utf8(decode_utf8("aé→🙂")), "aé→🙂");
  EXPECT_EQ(decode_utf8("\xE2\x86"), (std::u32string{0xFFFD, 0xFFFD}));
  EXPECT_EQ(decode_utf8("\xC0\xAF"), (std::u32string{0xFFFD, 0xFFFD}));
  EXPECT_EQ(decode_utf8("\xED\xA0\x80").front(), U'\uFFFD');
  EXPECT_EQ(escape_markup("<a b=\"c\">&'\x01"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;�");
  EXPECT_EQ(escape_markup("a\xE2\x80\xAE"
                          "b"),
            "a�b");
  EXPECT_EQ(visible_token(" a\tb\n"), "·a⇥b↵");
  EXPECT_EQ(visible_token("abcdef", 4), "abc…");
}

TEST(TextWidth, IsThatOfTheFaces) {
  EXPECT_NEAR(text_width("0000", FontRole::mono), 4 * 0.6 * 12, 1e-9);
  EXPECT_GT(text_width("MMMM", FontRole::axis), text_width("iiii", FontRole::axis) * 3);
  EXPECT_GT(text_width("bold", FontRole::ui, true), text_width("bold", FontRole::ui));
  EXPECT_LE(text_width(fit_text("a rather long sentence", FontRole::ui, 60), FontRole::ui), 60);
}

TEST(Figure, TheTopmostPickWinsAndSlackReachesOverGaps) {
  FigureBuilder b(100, 100);
  const int under = b.pick(std::monostate{}, "under");
  const int over = b.pick(std::monostate{}, "over");
  b.rect({10, 10, 40, 40}, Paint::of(ColorRole::accent), layer::data, under);
  b.circle({30, 30}, 5, Paint::of(ColorRole::text_1), layer::over_data, over);
  b.curve({60, 90}, {95, 60}, Paint::of(ColorRole::text_1), 2, layer::data, over);
  const Figure figure = std::move(b).finish("t", "c", nullptr);
  EXPECT_EQ(figure.pick_at({30, 30})->tooltip, "over");
  EXPECT_EQ(figure.pick_at({12, 12})->tooltip, "under");
  EXPECT_EQ(figure.pick_at({51, 20})->tooltip, "under");
  EXPECT_EQ(figure.pick_at({54, 20}), nullptr);
  EXPECT_EQ(figure.pick_at({77.5, 75})->tooltip, "over");
  EXPECT_FALSE(figure.bounds_of(Pick{}));
}

TEST(Svg, TextOfTokensCannotBecomeMarkup) {
  FigureBuilder b(100, 40);
  const std::string hostile = "\"><script>alert('x')</script>&amp;\x02\xFF";
  b.text({5, 20}, hostile, FontRole::mono, Paint::of(ColorRole::text_1), Anchor::start,
         b.pick(std::monostate{}, hostile));
  b.hatch({0, 0, 10, 10}, 0);
  const std::string svg = figure_to_svg(std::move(b).finish(hostile, hostile, nullptr), Theme::light, true);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(test::xml_problem(svg), "");
}

}  // namespace
}  // namespace moescope::palette_test
