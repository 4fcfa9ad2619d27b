// UTF-8 for labels: tokens may hold any bytes, figures may not. Called by figure builders, the SVG writer and reports.
// Pure functions: any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/export.h"

namespace moescope {

// Code points; every byte that is not part of well-formed UTF-8 becomes U+FFFD.
[[nodiscard]] MOESCOPE_API std::u32string decode_utf8(std::string_view bytes);
[[nodiscard]] MOESCOPE_API std::string encode_utf8(std::u32string_view text);

// Text of an XML or HTML element or of a quoted attribute: well-formed UTF-8, with & < > " ' escaped and the control
// characters that XML forbids shown as U+FFFD. Nothing that comes out can close a tag or an attribute.
[[nodiscard]] MOESCOPE_API std::string escape_markup(std::string_view bytes);

// A token as it is shown: spaces as "·", line breaks as "↵", tabs as "⇥", other control characters and broken bytes as
// "�", at most `limit` characters with "…" at the end.
[[nodiscard]] MOESCOPE_API std::string visible_token(std::string_view bytes, std::size_t limit = 24);

}  // namespace moescope
