// GgufValue: one metadata value of a GGUF file, with accessors that take any of the format's widths. Made by the
// reader; used by checkpoints and tokenizers. Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/export.h"

namespace moescope {

// The format's own numbers of value types.
enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  text = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

struct GgufValue {
  GgufType type = GgufType::u32;     // as the file says
  GgufType element = GgufType::u32;  // of an array
  // Signed integers, unsigned 64-bit ones beyond them, real numbers, booleans, texts (any bytes); arrays of these.
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string, std::vector<std::int64_t>,
               std::vector<std::uint64_t>, std::vector<double>, std::vector<bool>, std::vector<std::string>>
      value;

  // Nothing when the value is of another kind. An integer is given whatever its width, when it fits.
  [[nodiscard]] MOESCOPE_API std::optional<std::int64_t> integer() const;
  // Real numbers and integers.
  [[nodiscard]] MOESCOPE_API std::optional<double> real() const;
  [[nodiscard]] std::optional<bool> boolean() const {
    const bool* const held = std::get_if<bool>(&value);
    return held == nullptr ? std::nullopt : std::optional(*held);
  }
  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  [[nodiscard]] const std::vector<std::string>* texts() const { return std::get_if<std::vector<std::string>>(&value); }
  [[nodiscard]] const std::vector<double>* reals() const { return std::get_if<std::vector<double>>(&value); }
  [[nodiscard]] const std::vector<bool>* booleans() const { return std::get_if<std::vector<bool>>(&value); }
  // An array of integers; an array of unsigned 64-bit ones is not given.
  [[nodiscard]] const std::vector<std::int64_t>* integers() const {
    return std::get_if<std::vector<std::int64_t>>(&value);
  }
};

}  // namespace moescope
