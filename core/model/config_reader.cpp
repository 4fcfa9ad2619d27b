#include "core/model/config_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace moescope {
namespace {

constexpr const char* correct_it = "Correct config.json or take it from the model's own folder again";

}  // namespace

const nlohmann::json* ConfigReader::find(const char* key) const {
  if (!json_.is_object()) return nullptr;
  const auto it = json_.find(key);
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigReader::refuse(const char* key, const std::string& why, const std::string& advice) {
  if (error_) return;
  const nlohmann::json* value = find(key);
  std::string shown = value ? value->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) : "absent";
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  error_ = Error{ErrorKind::input, why, fmt::format("{}, key \"{}\" = {}", file_.string(), key, shown), advice};
}

std::uint32_t ConfigReader::checked_count(const char* key, const nlohmann::json& value, std::uint32_t low,
                                          std::uint32_t high) {
  const bool fits =
      value.is_number_unsigned() && value.get<std::uint64_t>() >= low && value.get<std::uint64_t>() <= high;
  if (fits) return value.get<std::uint32_t>();
  refuse(key, fmt::format("{} must be a whole number from {} to {}", key, low, high), correct_it);
  return low;
}

std::uint32_t ConfigReader::count(const char* key, std::uint32_t low, std::uint32_t high) {
  if (const nlohmann::json* value = find(key)) return checked_count(key, *value, low, high);
  refuse(key, fmt::format("{} is missing", key), correct_it);
  return low;
}

std::uint32_t ConfigReader::count_or(const char* key, std::uint32_t fallback, std::uint32_t low, std::uint32_t high) {
  const nlohmann::json* value = find(key);
  return value ? checked_count(key, *value, low, high) : fallback;
}

std::optional<double> ConfigReader::checked_positive(const char* key, const nlohmann::json& value) {
  if (value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() > 0) return value.get<double>();
  refuse(key, fmt::format("{} must be a number above 0", key), correct_it);
  return std::nullopt;
}

double ConfigReader::positive_or(const char* key, double fallback) {
  return optional_positive(key).value_or(fallback);
}

std::optional<double> ConfigReader::optional_positive(const char* key) {
  const nlohmann::json* value = find(key);
  return value ? checked_positive(key, *value) : std::nullopt;
}

bool ConfigReader::flag_or(const char* key, bool fallback) {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  refuse(key, fmt::format("{} must be true or false", key), correct_it);
  return fallback;
}

std::string ConfigReader::text_or(const char* key, const std::string& fallback) {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (value->is_string()) return value->get<std::string>();
  refuse(key, fmt::format("{} must be text", key), correct_it);
  return fallback;
}

std::vector<std::string> ConfigReader::texts(const char* key) {
  std::vector<std::string> out;
  const nlohmann::json* value = find(key);
  if (!value) return out;
  for (const nlohmann::json& item : *value) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

}  // namespace moescope
