// The byte alphabet of byte-level BPE: each of the 256 bytes as a printable character (space is "Ġ"). Tables built
// once; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moescope::tokenization {

// The character, as UTF-8, that stands for a byte.
[[nodiscard]] const std::string& byte_character(std::uint8_t byte);
// Text in the alphabet for raw bytes.
[[nodiscard]] std::string to_byte_alphabet(std::string_view bytes);
// Raw bytes of text in the alphabet; nothing when a character is not of the alphabet.
[[nodiscard]] std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace moescope::tokenization
