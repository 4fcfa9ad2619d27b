#include "core/model/tokenization/byte_alphabet.h"

#include <array>

#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

constexpr int alphabet_end = 0x100 + 68;  // code points of the alphabet lie below

struct Tables {
  std::array<std::string, 256> character;
  std::array<std::int16_t, alphabet_end> byte{};
  Tables() {
    byte.fill(-1);
    std::uint32_t next = 0x100;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const std::uint32_t code = printable ? b : next++;
      append_utf8(character[b], code);
      byte[code] = static_cast<std::int16_t>(b);
    }
  }
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

}  // namespace

const std::string& byte_character(std::uint8_t byte) {
  return tables().character[byte];
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) out += byte_character(static_cast<std::uint8_t>(c));
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code >= alphabet_end || tables().byte[c.code] < 0) return std::nullopt;
    out.push_back(static_cast<char>(tables().byte[c.code]));
    at += c.length;
  }
  return out;
}

}  // namespace moescope::tokenization
