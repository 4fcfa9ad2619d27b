// Bytes as base64, for tests that make what a server would answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moescope::fixtures {

inline std::string base64_text(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t b = 0; b < 3; ++b) {
      group = (group << 8U) | (i + b < bytes.size() ? static_cast<unsigned char>(bytes[i + b]) : 0U);
    }
    for (std::size_t c = 0; c < 4; ++c) {
      out += i + c <= bytes.size() ? alphabet[(group >> (18 - 6 * c)) & 63U] : '=';
    }
  }
  return out;
}

}  // namespace moescope::fixtures
