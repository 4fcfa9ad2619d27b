// ByteReader: a bounded cursor over little-endian bytes of a file that is not trusted. Used by the readers of binary
// containers; one thread at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace moescope {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, std::size_t at = 0)
      : bytes_(bytes), at_(at < bytes.size() ? at : bytes.size()) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - at_; }

  // The next number; nothing at the end.
  template <typename T>
  [[nodiscard]] std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T> && std::endian::native == std::endian::little);
    if (remaining() < sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  // The next `size` bytes; nothing when there are fewer.
  [[nodiscard]] std::optional<std::span<const std::byte>> take(std::uint64_t size) {
    if (size > remaining()) return std::nullopt;
    const auto out = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return out;
  }
  // The same as text, which is not checked.
  [[nodiscard]] std::optional<std::string_view> take_text(std::uint64_t size) {
    const auto out = take(size);
    if (!out) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(out->data()), out->size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace moescope
