// Text widths without a toolkit: advances of Inter (400 and 600) and JetBrains Mono, in thousandths of an em.
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/figure/figure.h"
#include "core/figure/utf8.h"

namespace moescope {
namespace {

// U+0020 to U+007E.
constexpr std::array<std::uint16_t, 95> inter_regular = {
    281, 278, 403, 631, 638, 812, 639, 222, 362, 362, 500, 659, 280, 460, 276, 357, 625, 464, 605,
    636, 642, 608, 624, 571, 616, 624, 276, 280, 659, 659, 659, 507, 936, 676, 651, 727, 719, 598,
    587, 743, 740, 264, 543, 652, 562, 889, 753, 761, 635, 761, 639, 638, 642, 741, 676, 949, 642,
    665, 625, 362, 357, 362, 469, 452, 497, 564, 621, 558, 621, 582, 361, 609, 591, 237, 237, 544,
    237, 869, 585, 597, 609, 609, 372, 523, 364, 581, 557, 812, 540, 557, 541, 362, 327, 362, 659};
constexpr std::array<std::uint16_t, 95> inter_semi_bold = {
    248, 309, 396, 643, 649, 844, 663, 213, 393, 393, 543, 673, 295, 466, 290, 379, 667, 481,  621,
    652, 666, 632, 648, 587, 646, 648, 290, 295, 673, 673, 673, 544, 999, 724, 657, 744, 724,  608,
    586, 755, 744, 275, 561, 677, 566, 906, 741, 775, 643, 776, 651, 649, 660, 734, 724, 1007, 690,
    705, 653, 393, 379, 393, 481, 468, 497, 575, 630, 577, 630, 593, 377, 625, 613, 261, 261,  569,
    261, 898, 610, 608, 625, 625, 397, 549, 380, 608, 576, 837, 562, 576, 562, 393, 358, 393,  673};
constexpr double mono_advance = 600;

// East Asian wide blocks and emoji take a full em.
bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
         (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
}

double advance(char32_t c, bool mono, bool semi_bold) {
  if (c == 0x2009 || c == 0x202F) return 182;
  if (is_wide(c)) return 1000;
  if ((c >= 0x0300 && c <= 0x036F) || c == 0x200B || c == 0x200D) return 0;
  if (mono) return mono_advance;
  if (c >= 0x20 && c <= 0x7E) return (semi_bold ? inter_semi_bold : inter_regular)[static_cast<std::size_t>(c - 0x20)];
  switch (c) {
    case 0x00A0:
    case 0x00B7:
      return 281;
    case 0x2192:
      return 955;
    case 0x2026:
      return 821;
    case 0x2013:
      return 500;
    case 0x2018:
    case 0x2019:
      return 200;
    case 0x201C:
    case 0x201D:
      return 390;
    default:
      return 640;
  }
}

}  // namespace

FontSpec font_spec(FontRole font) {
  switch (font) {
    case FontRole::ui:
      return {false, 13, 400};
    case FontRole::ui_small:
      return {false, 12, 400};
    case FontRole::axis:
      return {false, 11, 400};
    case FontRole::tick:
      return {true, 10, 400};
    case FontRole::head:
      return {false, 12, 600};
    case FontRole::title:
      return {false, 17, 600};
    case FontRole::mono:
      return {true, 12, 400};
    case FontRole::mono_small:
      return {true, 11, 400};
    case FontRole::mono_text:
      return {true, 14, 400};
  }
  return {};
}

double font_size(FontRole font) {
  return font_spec(font).size;
}

double text_width(const std::string& utf8, FontRole font, bool bold) {
  const FontSpec spec = font_spec(font);
  const bool semi_bold = bold || spec.weight >= 600;
  double sum = 0;
  for (const char32_t c : decode_utf8(utf8)) sum += advance(c, spec.mono, semi_bold);
  return sum * spec.size / 1000;
}

}  // namespace moescope
