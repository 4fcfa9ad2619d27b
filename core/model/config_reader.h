// Reads config.json key by key, as hostile. The first problem is kept and names file, key, value and what to do; values
// after it are harmless fallbacks, so a family reads all it needs and asks error() once. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace moescope {

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::filesystem::path file) : json_(json), file_(std::move(file)) {}

  // A whole number in [low, high]; must be there.
  std::uint32_t count(const char* key, std::uint32_t low, std::uint32_t high);
  // The same; `fallback` when the key is absent or null.
  std::uint32_t count_or(const char* key, std::uint32_t fallback, std::uint32_t low, std::uint32_t high);
  // A finite number above zero; `fallback` when absent or null.
  double positive_or(const char* key, double fallback);
  // Nothing when absent or null.
  std::optional<double> optional_positive(const char* key);
  bool flag_or(const char* key, bool fallback);
  std::string text_or(const char* key, const std::string& fallback);
  std::vector<std::string> texts(const char* key);
  // The member, null when absent or null.
  [[nodiscard]] const nlohmann::json* find(const char* key) const;

  // Notes a problem with the value of `key` unless there is one already.
  void refuse(const char* key, const std::string& why, const std::string& advice);
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  const nlohmann::json& json_;
  std::filesystem::path file_;
  std::optional<Error> error_;

  std::uint32_t checked_count(const char* key, const nlohmann::json& value, std::uint32_t low, std::uint32_t high);
  std::optional<double> checked_positive(const char* key, const nlohmann::json& value);
};

}  // namespace moescope
