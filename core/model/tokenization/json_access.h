// Reading optional members of tokenizer.json without exceptions. A member of the wrong kind counts as absent.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace moescope::tokenization {

[[nodiscard]] inline const nlohmann::json* member(const nlohmann::json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto it = json.find(key);
  return it == json.end() || it->is_null() ? nullptr : &*it;
}

[[nodiscard]] inline bool bool_or(const nlohmann::json& json, const char* key, bool fallback) {
  const nlohmann::json* value = member(json, key);
  return value && value->is_boolean() ? value->get<bool>() : fallback;
}

[[nodiscard]] inline std::string text_or(const nlohmann::json& json, const char* key, std::string fallback = {}) {
  const nlohmann::json* value = member(json, key);
  return value && value->is_string() ? value->get<std::string>() : std::move(fallback);
}

// A token id: a non-negative integer that fits 31 bits.
[[nodiscard]] inline std::optional<std::int32_t> as_id(const nlohmann::json& json) {
  if (!json.is_number_unsigned()) return std::nullopt;
  const auto id = json.get<std::uint64_t>();
  if (id > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

// Sequences may nest; a file made to nest deeper than this is refused before it is followed.
inline constexpr int max_nesting = 8;

}  // namespace moescope::tokenization
