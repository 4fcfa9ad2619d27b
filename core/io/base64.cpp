#include "core/io/base64.h"

#include <array>
#include <cstdint>

namespace moescope {
namespace {

constexpr std::uint8_t not_a_digit = 0xFF;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> out{};
  for (auto& digit : out) digit = not_a_digit;
  std::uint8_t value = 0;
  for (char c = 'A'; c <= 'Z'; ++c) out[static_cast<unsigned char>(c)] = value++;
  for (char c = 'a'; c <= 'z'; ++c) out[static_cast<unsigned char>(c)] = value++;
  for (char c = '0'; c <= '9'; ++c) out[static_cast<unsigned char>(c)] = value++;
  out['+'] = out['-'] = 62;
  out['/'] = out['_'] = 63;
  return out;
}
constexpr std::array<std::uint8_t, 256> digits = make_digits();

}  // namespace

std::optional<std::vector<std::byte>> decode_base64(std::string_view text) {
  std::vector<std::byte> out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t group = 0;
  std::size_t in_group = 0, padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::uint8_t digit = digits[static_cast<unsigned char>(c)];
    if (digit == not_a_digit || padding > 0) return std::nullopt;
    group = (group << 6U) | digit;
    if (++in_group < 4) continue;
    for (const unsigned shift : {16U, 8U, 0U}) out.push_back(static_cast<std::byte>((group >> shift) & 0xFFU));
    group = 0;
    in_group = 0;
  }
  if (in_group == 1 || padding > 2 || (padding > 0 && in_group + padding != 4)) return std::nullopt;
  if (in_group >= 2) out.push_back(static_cast<std::byte>((group >> (in_group == 2 ? 4U : 10U)) & 0xFFU));
  if (in_group == 3) out.push_back(static_cast<std::byte>((group >> 2U) & 0xFFU));
  return out;
}

}  // namespace moescope
