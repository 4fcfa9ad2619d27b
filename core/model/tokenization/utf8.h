// UTF-8 helpers of the tokenizer: boundaries, validity and the replacement of what is invalid. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"

namespace moescope::tokenization {

// The character at `at` of valid UTF-8 text: its code point and length in bytes.
struct Character {
  std::uint32_t code = 0;
  std::size_t length = 1;
};
[[nodiscard]] Character character_at(std::string_view text, std::size_t at);
// The character that ends just before `end` (> 0) of valid UTF-8 text.
[[nodiscard]] Character character_before(std::string_view text, std::size_t end);

using moescope::is_valid_utf8;
using moescope::well_formed_length;
// Every maximal ill-formed part becomes one U+FFFD.
[[nodiscard]] std::string replace_invalid_utf8(std::string_view text);

void append_utf8(std::string& out, std::uint32_t code);
// White_Space of Unicode.
[[nodiscard]] bool is_white_space(std::uint32_t code);
// A letter, a mark, a decimal digit or a connector (the word characters of regular expressions).
[[nodiscard]] bool is_word_character(std::uint32_t code);
// A number of any kind (general category N).
[[nodiscard]] bool is_numeric(std::uint32_t code);

}  // namespace moescope::tokenization
