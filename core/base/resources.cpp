#include "core/base/resources.h"

#include <cstdlib>
#include <system_error>
#include <vector>

#include "core/base/process.h"
#include "core/base/version.h"

namespace moescope {

Expected<std::filesystem::path> find_resource(const std::string& name) {
  std::vector<std::filesystem::path> places;
  if (const char* set = std::getenv("MOESCOPE_RESOURCES"); set && *set) places.emplace_back(set);
  if (const auto folder = program_folder(); !folder.empty()) {
    places.push_back(folder.parent_path() / "share" / "moescope");
  }
  places.emplace_back(std::filesystem::path(source_folder_text) / "resources");
  std::string tried;
  for (const auto& place : places) {
    std::error_code error;
    if (std::filesystem::exists(place / name, error)) return place / name;
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  return fail(ErrorKind::input, "a file of the installation is missing: " + name, "looked in " + tried,
              "Install MoEScope again, or set MOESCOPE_RESOURCES to its resource folder");
}

}  // namespace moescope
