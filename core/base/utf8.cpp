#include "core/base/utf8.h"

#include <cstdint>

namespace moescope {

std::size_t well_formed_length(std::string_view text, std::size_t at, std::size_t& bad) {
  const auto byte_at = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  // The second byte has its own range for some lead bytes.
  const std::uint8_t lead = byte_at(at);
  bad = 1;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size()) return 0;
    const std::uint8_t byte = byte_at(at + i);
    if (i == 1 ? byte < low || byte > high : (byte & 0xC0U) != 0x80U) return 0;
    ++bad;
  }
  return length;
}

bool is_valid_utf8(std::string_view text) {
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = well_formed_length(text, at, bad);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace moescope
