// Finds and loads the engine module into this process.
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "core/base/dynamic_library.h"
#include "core/base/process.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "core/engine/engine.h"

namespace moescope {
namespace {

constexpr const char* module_file = "libmoescope_torch_engine.so";

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

Expected<std::shared_ptr<Engine>> load_engine_module() {
  prepare_process_environment();  // OpenMP reads it when the module brings it in
  std::filesystem::path file;
  std::string looked;
  for (const std::filesystem::path& folder : places()) {
    std::error_code failed;
    if (std::filesystem::is_regular_file(folder / module_file, failed)) {
      file = folder / module_file;
      break;
    }
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  if (file.empty()) {
    return fail(ErrorKind::module, std::string("the engine module ") + module_file + " was not found",
                "looked in " + looked,
                "Install the package moescope-engine-torch, build with LibTorch present, or set MOESCOPE_MODULE_PATH");
  }
  const auto library = DynamicLibrary::load(file);
  if (!library) {
    return fail(ErrorKind::module, "the engine module could not be loaded: " + library.error().what, file.string(),
                "Check that LibTorch is installed in the version the module was built with");
  }
  const auto build_id = reinterpret_cast<const char* (*)()>(library->symbol("moescope_engine_build_id"));
  const auto create = reinterpret_cast<Engine* (*)()>(library->symbol("moescope_engine_create"));
  if (!build_id || !create) {
    return fail(ErrorKind::module, "this library is not an engine module", file.string(),
                "Remove it or point MOESCOPE_MODULE_PATH elsewhere");
  }
  if (std::string(build_id()) != build_id_text) {
    return fail(
        ErrorKind::module,
        std::string("the engine module belongs to another build (") + build_id() + ", this is " + build_id_text + ")",
        file.string(), "Install the module of this version");
  }
  std::shared_ptr<Engine> engine(create());
  if (!engine) return fail(ErrorKind::module, "the engine module did not start", file.string());
  return engine;
}

}  // namespace moescope
