#include "core/io/gguf_value.h"

#include <utility>

namespace moescope {

std::optional<std::int64_t> GgufValue::integer() const {
  if (const auto* held = std::get_if<std::int64_t>(&value)) return *held;
  const auto* const wide = std::get_if<std::uint64_t>(&value);
  if (wide == nullptr || !std::in_range<std::int64_t>(*wide)) return std::nullopt;
  return static_cast<std::int64_t>(*wide);
}

std::optional<double> GgufValue::real() const {
  if (const auto* held = std::get_if<double>(&value)) return *held;
  if (const auto* held = std::get_if<std::int64_t>(&value)) return static_cast<double>(*held);
  if (const auto* held = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*held);
  return std::nullopt;
}

}  // namespace moescope
