#include "core/base/module_folders.h"

#include <cstdlib>
#include <sstream>
#include <vector>

#include "core/base/process.h"

namespace moescope {
namespace {

std::vector<std::filesystem::path> places() {
  std::vector<std::filesystem::path> out;
  if (const char* asked = std::getenv("MOESCOPE_MODULE_PATH")) {
    std::istringstream list(asked);
    for (std::string folder; std::getline(list, folder, ':');) {
      if (!folder.empty()) out.emplace_back(folder);
    }
  }
  const std::filesystem::path program = program_folder(), core = core_library_folder();
  for (const std::filesystem::path& folder :
       {program, program / "../lib", program / "../lib/moescope", core, core / "moescope"}) {
    if (!folder.empty()) out.push_back(folder.lexically_normal());
  }
  return out;
}

}  // namespace

Expected<std::filesystem::path> find_module(const std::string& file, const std::string& advice) {
  std::string looked;
  for (const std::filesystem::path& folder : places()) {
    std::error_code failed;
    if (std::filesystem::is_regular_file(folder / file, failed)) return folder / file;
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  return fail(ErrorKind::module, "the module " + file + " was not found", "looked in " + looked, advice);
}

}  // namespace moescope
