#include "core/workbench/recent_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/json_text.h"
#include "core/io/output_file.h"

namespace moescope {
namespace {

constexpr std::size_t kept = 15;
constexpr std::size_t file_limit = std::size_t{1} << 20U;

}  // namespace

RecentFiles::RecentFiles(const std::filesystem::path& settings_folder) {
  if (settings_folder.empty()) return;
  file_ = settings_folder / "recent.json";
  const auto text = read_whole_file(file_, file_limit);
  if (!text) return;
  const auto json = parse_json(*text, file_.string());
  if (!json || !json->is_array()) return;
  for (const auto& one : *json) {
    if (one.is_string() && list_.size() < kept) list_.emplace_back(one.get<std::string>());
  }
}

void RecentFiles::add(const std::filesystem::path& path) {
  list_.erase(std::remove(list_.begin(), list_.end(), path), list_.end());
  list_.insert(list_.begin(), path);
  if (list_.size() > kept) list_.resize(kept);
  if (file_.empty()) return;
  nlohmann::json json = nlohmann::json::array();
  for (const auto& one : list_) json.push_back(one.string());
  const auto written = write_whole_file(file_, json.dump(1));
  static_cast<void>(written);
}

}  // namespace moescope
