// Colours of the style sheet: roles, categories and maps, one table per theme.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "core/figure/figure.h"

namespace moescope {
namespace {

constexpr Rgb hex(std::uint32_t v) {
  return Rgb{static_cast<std::uint8_t>(v >> 16U), static_cast<std::uint8_t>(v >> 8U), static_cast<std::uint8_t>(v)};
}

constexpr Rgb unset = hex(0xFF00FF);
constexpr std::size_t role_count = static_cast<std::size_t>(ColorRole::none) + 1;

// In the order of ColorRole.
constexpr std::array<Rgb, role_count> dark_roles = {
    hex(0x18191B), hex(0x1F2023), hex(0x292B2E), hex(0x141517), hex(0x35383C), hex(0x4A4E53), hex(0x2B2D31),
    hex(0xE6E7E9), hex(0xB0B4B9), hex(0x8E9399), hex(0x6AA5FF), hex(0x22344F), hex(0x0B1526), hex(0xE3B341),
    hex(0xFF7B72), hex(0x57C38A), hex(0x7D838A), hex(0x6B7076), hex(0x43474C), unset};
constexpr std::array<Rgb, role_count> light_roles = {
    hex(0xECEDEF), hex(0xFFFFFF), hex(0xF4F5F6), hex(0xFAFAFB), hex(0xDADDE0), hex(0xB3B8BE), hex(0xECEEF0),
    hex(0x1A1C1F), hex(0x4C5157), hex(0x646A71), hex(0x1B5FD0), hex(0xDCE8FB), hex(0xFFFFFF), hex(0x8A5A00),
    hex(0xC0362C), hex(0x17764A), hex(0x8A9097), hex(0x868C93), hex(0xC9CDD2), unset};

// Okabe-Ito hues moved until they stay apart for colour-blind readers; the last is "other".
constexpr std::array<Rgb, category_count + 1> dark_categories = {
    hex(0x6AB7E6), hex(0xEA9D37), hex(0x4ADDAA), hex(0xA873A6), hex(0xD04A14), hex(0xF2E64A), hex(0x6B7076)};
constexpr std::array<Rgb, category_count + 1> light_categories = {
    hex(0x0F6FA8), hex(0xCA8600), hex(0x4FA38A), hex(0x7A1B72), hex(0xBC4430), hex(0x45450A), hex(0x868C93)};

// Blue is less, orange more; the middle is the theme's neutral.
constexpr std::array<Rgb, 7> light_lift = {hex(0x0B3C6F), hex(0x2F78B5), hex(0x8FBFE0), hex(0xF3F3F2),
                                           hex(0xF2B98A), hex(0xD0722C), hex(0x7A3300)};
constexpr std::array<Rgb, 7> dark_lift = {hex(0xA9D6FF), hex(0x4E9BDB), hex(0x275680), hex(0x26282B),
                                          hex(0x7A4B22), hex(0xD98A3D), hex(0xFFD2A3)};

// Viridis at sixteen even steps; between them straight lines are within two levels of the original.
constexpr std::array<Rgb, 16> viridis = {hex(0x440154), hex(0x481A6C), hex(0x472F7D), hex(0x414487),
                                         hex(0x39568C), hex(0x31688E), hex(0x2A788E), hex(0x23888E),
                                         hex(0x1F988B), hex(0x22A884), hex(0x35B779), hex(0x54C568),
                                         hex(0x7AD151), hex(0xA5DB36), hex(0xD2E21B), hex(0xFDE725)};

std::uint8_t mix(std::uint8_t a, std::uint8_t b, double t) {
  return static_cast<std::uint8_t>(std::lround(a + (static_cast<double>(b) - a) * t));
}

// Colour at t in 0..1 on evenly spaced anchors; NaN gives the first.
Rgb interpolate(std::span<const Rgb> anchors, double t) {
  if (std::isnan(t)) return anchors.front();
  const double at = std::clamp(t, 0.0, 1.0) * static_cast<double>(anchors.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(at), anchors.size() - 2);
  const double f = at - static_cast<double>(i);
  const Rgb a = anchors[i];
  const Rgb b = anchors[i + 1];
  return Rgb{mix(a.r, b.r, f), mix(a.g, b.g, f), mix(a.b, b.b, f)};
}

Rgb magnitude(double v) {
  if (std::isnan(v)) return magnitude_map().front();
  return magnitude_map()[static_cast<std::size_t>(std::lround(std::clamp(v, 0.0, 1.0) * 255))];
}

Rgb lift(double log2_value, Theme theme) {
  return interpolate(theme == Theme::dark ? dark_lift : light_lift, (log2_value + 2) / 4);
}

Rgb readable_on(Rgb cell) {
  return relative_luminance(cell) > 0.22 ? hex(0x111214) : hex(0xFFFFFF);
}

}  // namespace

double relative_luminance(Rgb colour) {
  const auto linear = [](std::uint8_t channel) {
    const double c = channel / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(colour.r) + 0.7152 * linear(colour.g) + 0.0722 * linear(colour.b);
}

const std::array<Rgb, 256>& magnitude_map() {
  static const std::array<Rgb, 256> map = [] {
    std::array<Rgb, 256> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = interpolate(viridis, static_cast<double>(i) / 255);
    return out;
  }();
  return map;
}

Rgb resolve(const Paint& paint, Theme theme) {
  const bool dark = theme == Theme::dark;
  switch (paint.kind) {
    case Paint::Kind::role: {
      const auto i = std::min(static_cast<std::size_t>(paint.role), role_count - 1);
      return dark ? dark_roles[i] : light_roles[i];
    }
    case Paint::Kind::category: {
      const bool named = paint.category >= 0 && paint.category < category_count;
      const auto i = static_cast<std::size_t>(named ? paint.category : category_count);
      return dark ? dark_categories[i] : light_categories[i];
    }
    case Paint::Kind::magnitude:
      return magnitude(paint.value);
    case Paint::Kind::lift:
      return lift(paint.value, theme);
    case Paint::Kind::on_magnitude:
      return readable_on(magnitude(paint.value));
    case Paint::Kind::on_lift:
      return readable_on(lift(paint.value, theme));
  }
  return unset;
}

}  // namespace moescope
