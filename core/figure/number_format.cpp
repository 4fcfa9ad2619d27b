#include "core/figure/number_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace moescope {
namespace {

constexpr const char* absent = "–";
constexpr const char* minus = "−";
constexpr const char* thin_gap = "\u202F";

// Commas into the whole part of plain digits "1234.5".
std::string with_commas(const std::string& digits) {
  const std::size_t whole = std::min(digits.find('.'), digits.size());
  std::string out;
  for (std::size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out + digits.substr(whole);
}

}  // namespace

std::string format_number(double value, int decimals) {
  if (!std::isfinite(value)) return absent;
  if (std::abs(value) >= 1e15) return fmt::format("{:.3g}", value);
  const std::string digits = fmt::format("{:.{}f}", std::abs(value), std::clamp(decimals, 0, 12));
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;
  return (value < 0 && !zero ? minus : "") + with_commas(digits);
}

std::string format_count(double value) {
  return format_number(std::isfinite(value) ? std::round(value) : value, 0);
}

std::string format_short(double value, int digits) {
  if (!std::isfinite(value)) return absent;
  if (value == 0) return "0";
  const double magnitude = std::abs(value);
  if (magnitude < 1e-6) return (value < 0 ? minus : "") + fmt::format("{:.{}g}", magnitude, digits);
  const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(magnitude))));
  std::string out = format_number(value, decimals);
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out;
}

std::string format_percent(double fraction, int decimals) {
  if (!std::isfinite(fraction)) return absent;
  return format_number(fraction * 100, decimals) + thin_gap + "%";
}

std::string format_interval(double low, double high, int decimals) {
  if (!std::isfinite(low) || !std::isfinite(high)) return {};
  return " [" + format_number(low, decimals) + ", " + format_number(high, decimals) + "]";
}

namespace {

// Three digits of a value in the largest unit that leaves at least 1.
std::string in_units(double value, const std::array<const char*, 5>& units) {
  if (!std::isfinite(value)) return absent;
  std::size_t unit = 0;
  while (unit + 1 < units.size() && std::abs(value) >= 999.5) value /= 1000, ++unit;
  const int decimals = unit == 0 || std::abs(value) >= 99.95 ? 0 : std::abs(value) >= 9.995 ? 1 : 2;
  std::string out = format_number(value, decimals);
  if (*units[unit] != 0) out += std::string(thin_gap) + units[unit];
  return out;
}

}  // namespace

std::string format_bytes(double bytes) {
  return in_units(bytes, {"B", "kB", "MB", "GB", "TB"});
}

std::string format_quantity(double value) {
  return in_units(value, {"", "k", "M", "B", "T"});
}

}  // namespace moescope
