// Base64 (RFC 4648) to bytes, strictly: the standard or the URL alphabet, padding or none, line breaks skipped. Called
// by importers of server responses; pure, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/export.h"

namespace moescope {

// Nothing when a character does not belong, a character follows the padding, or the length cannot be.
[[nodiscard]] MOESCOPE_API std::optional<std::vector<std::byte>> decode_base64(std::string_view text);

}  // namespace moescope
