#include "core/figure/utf8.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace moescope {
namespace {

constexpr char32_t replacement = 0xFFFD;

// Not allowed in XML 1.0, or a non-character.
bool is_forbidden(char32_t c) {
  if (c < 0x20) return c != '\t' && c != '\n' && c != '\r';
  return (c >= 0x7F && c <= 0x9F) || (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFEU) == 0xFFFE;
}

// Marks that reorder what surrounds them could make a report read differently from what it says.
bool reorders(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x061C;
}

void append_utf8(char32_t c, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | (c >> 6U));
    put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | (c >> 12U));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | (c >> 18U));
    put(0x80U | ((c >> 12U) & 0x3FU));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

// One code point from `bytes` at `i`, which moves past it; a bad byte is skipped alone.
char32_t next(std::string_view bytes, std::size_t& i) {
  const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(bytes[k]); };
  const std::uint8_t first = byte(i++);
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || i + more > bytes.size()) return replacement;
  char32_t c = first & (0x3FU >> more);
  for (std::size_t k = 0; k < more; ++k) {
    if ((byte(i + k) & 0xC0U) != 0x80U) return replacement;
    c = (c << 6U) | (byte(i + k) & 0x3FU);
  }
  constexpr std::array<char32_t, 4> least = {0, 0x80, 0x800, 0x10000};
  if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return replacement;
  i += more;
  return c;
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
  std::u32string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) out.push_back(next(bytes, i));
  return out;
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(c, out);
  return out;
}

std::string escape_markup(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (std::size_t i = 0; i < bytes.size();) {
    const char32_t c = next(bytes, i);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        append_utf8(is_forbidden(c) || reorders(c) ? replacement : c, out);
    }
  }
  return out;
}

std::string visible_token(std::string_view bytes, std::size_t limit) {
  std::u32string out;
  for (std::size_t i = 0; i < bytes.size();) {
    if (out.size() == limit) {
      out.back() = U'…';
      break;
    }
    const char32_t c = next(bytes, i);
    if (c == ' ') {
      out.push_back(U'·');
    } else if (c == '\n') {
      out.push_back(U'↵');
    } else if (c == '\t') {
      out.push_back(U'⇥');
    } else {
      out.push_back(is_forbidden(c) || reorders(c) || c == '\r' ? replacement : c);
    }
  }
  return encode_utf8(out);
}

}  // namespace moescope
