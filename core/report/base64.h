// Base64 for data links in reports. Pure function: any thread.
#pragma once

#include <string>
#include <string_view>

namespace moescope {

[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace moescope
