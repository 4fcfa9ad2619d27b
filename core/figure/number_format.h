// Numbers as figures and reports write them: thousands with commas, a thin gap before %, a real minus sign.
// Pure functions: any thread. NaN is "–".
#pragma once

#include <string>

#include "core/base/export.h"

namespace moescope {

// "12,522"; rounds to a whole number.
[[nodiscard]] MOESCOPE_API std::string format_count(double value);
// Fixed decimals, thousands with commas: "1,234.50".
[[nodiscard]] MOESCOPE_API std::string format_number(double value, int decimals);
// As few decimals as `digits` significant digits need, trailing zeros dropped: "0.25", "4".
[[nodiscard]] MOESCOPE_API std::string format_short(double value, int digits = 3);
// A fraction in per cent with a thin gap: 0.368 -> "36.8 %".
[[nodiscard]] MOESCOPE_API std::string format_percent(double fraction, int decimals = 1);
// " [0.73, 0.83]", or nothing when there is no interval.
[[nodiscard]] MOESCOPE_API std::string format_interval(double low, double high, int decimals);

// Bytes in decimal units with a thin gap: "7.6 MB".
[[nodiscard]] MOESCOPE_API std::string format_bytes(double bytes);
// A large count in three digits with a thin gap: "6.92 B", "41.3 M", "12.5 k", "640".
[[nodiscard]] MOESCOPE_API std::string format_quantity(double value);

}  // namespace moescope
