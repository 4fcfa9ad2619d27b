#include "views/common/fonts.h"

#include <QFontDatabase>
#include <QFontInfo>
#include <cmath>

namespace moescope {
namespace {

bool installed(const QString& family) {
  return QFontInfo(QFont(family)).family().startsWith(family);
}

const QString& ui_family() {
  static const QString family = installed(QStringLiteral("Inter"))
                                    ? QStringLiteral("Inter")
                                    : QFontDatabase::systemFont(QFontDatabase::GeneralFont).family();
  return family;
}

QFont sized(const QString& family, double pixels, int weight) {
  QFont font(family);
  font.setPixelSize(static_cast<int>(std::lround(pixels)));
  font.setWeight(static_cast<QFont::Weight>(weight));
  return font;
}

}  // namespace

QString mono_family() {
  static const QString family = installed(QStringLiteral("JetBrains Mono"))
                                    ? QStringLiteral("JetBrains Mono")
                                    : QFontDatabase::systemFont(QFontDatabase::FixedFont).family();
  return family;
}

QFont ui_font(double pixels, int weight) {
  return sized(ui_family(), pixels, weight);
}

QFont mono_font(double pixels, int weight) {
  QFont font = sized(mono_family(), pixels, weight);
  font.setStyleHint(QFont::Monospace);
  font.setStyleStrategy(static_cast<QFont::StyleStrategy>(QFont::PreferDefault | QFont::PreferNoShaping));
  return font;
}

QFont figure_font(FontRole role, bool bold) {
  const bool mono =
      role == FontRole::mono || role == FontRole::mono_small || role == FontRole::mono_text || role == FontRole::tick;
  const int weight = bold || role == FontRole::head || role == FontRole::title ? 600 : 400;
  return mono ? mono_font(font_size(role), weight) : ui_font(font_size(role), weight);
}

}  // namespace moescope
