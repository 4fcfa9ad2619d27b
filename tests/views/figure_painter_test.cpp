#include "views/common/figure_painter.h"

#include <gtest/gtest.h>

#include "views/common/theme.h"

namespace moescope {
namespace {

Figure two_cells() {
  Figure figure;
  figure.width = 100;
  figure.height = 50;
  RectMark left{10, 10, 30, 30, 0, Paint::of(ColorRole::accent), Paint::of(ColorRole::none), 0, false};
  RectMark right{60, 10, 30, 30, 0, Paint::of_magnitude(1), Paint::of(ColorRole::none), 0, false};
  figure.marks.push_back({left, 0, 0});
  figure.marks.push_back({right, 0, 1});
  figure.picks = {{ExpertRef{0, 1}, "first\nmore"}, {ExpertRef{0, 2}, "second"}};
  return figure;
}

TEST(FigurePainter, FillsCellsWithTheThemesColours) {
  for (const Theme theme : {Theme::dark, Theme::light}) {
    const QImage image = figure_image(two_cells(), theme, 1);
    ASSERT_EQ(image.size(), QSize(100, 50));
    EXPECT_EQ(image.pixelColor(25, 25), color(Paint::of(ColorRole::accent), theme));
    EXPECT_EQ(image.pixelColor(75, 25), color(Paint::of_magnitude(1), theme));
    EXPECT_EQ(image.pixelColor(50, 25), color(Paint::of(ColorRole::panel), theme));
  }
}

TEST(FigurePainter, CellEdgesAreCrispAtEveryScale) {
  Figure figure = two_cells();
  std::get<RectMark>(figure.marks[0].shape).x = 10.3;  // between pixels
  for (const double scale : {1.0, 1.5, 2.0}) {
    const QImage image = figure_image(figure, Theme::dark, scale);
    EXPECT_EQ(image.width(), static_cast<int>(100 * scale));
    const QColor cell = color(Paint::of(ColorRole::accent), Theme::dark);
    const QColor ground = color(Paint::of(ColorRole::panel), Theme::dark);
    for (int x = 0; x < image.width() / 2; ++x) {
      const QColor at = image.pixelColor(x, image.height() / 2);
      EXPECT_TRUE(at == cell || at == ground) << "blended pixel at " << x << ", scale " << scale;
    }
  }
}

TEST(FigurePainter, HatchIsNeitherTheFillNorTheGround) {
  Figure figure = two_cells();
  auto& cell = std::get<RectMark>(figure.marks[0].shape);
  cell.fill = Paint::of(ColorRole::panel);
  cell.hatched = true;
  const QImage image = figure_image(figure, Theme::light, 1);
  int hatched = 0;
  for (int x = 12; x < 38; ++x)
    if (image.pixelColor(x, 25) != color(Paint::of(ColorRole::panel), Theme::light)) ++hatched;
  EXPECT_GT(hatched, 2);
  EXPECT_LT(hatched, 24);
}

TEST(FigurePainter, BoundsOfAPickUniteItsMarks) {
  const Figure figure = two_cells();
  EXPECT_EQ(pick_bounds(figure, 1), QRectF(60, 10, 30, 30));
  EXPECT_TRUE(pick_bounds(figure, 5).isNull());
}

}  // namespace
}  // namespace moescope
