#include "core/report/base64.h"

#include <cstddef>
#include <cstdint>

namespace moescope {

std::string base64(std::string_view bytes) {
  static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const auto byte = [&](std::size_t k) {
      return k < left ? static_cast<std::uint8_t>(bytes[i + k]) : std::uint8_t{0};
    };
    const std::uint32_t word =
        static_cast<std::uint32_t>(byte(0)) << 16U | static_cast<std::uint32_t>(byte(1)) << 8U | byte(2);
    for (std::size_t k = 0; k < 4; ++k) out.push_back(k <= left ? digits[(word >> (18 - 6 * k)) & 63U] : '=');
  }
  return out;
}

}  // namespace moescope
