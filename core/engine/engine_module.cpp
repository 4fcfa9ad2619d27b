// Finds and loads the engine module into this process.
#include <string>

#include "core/base/dynamic_library.h"
#include "core/base/module_folders.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "core/engine/engine.h"

namespace moescope {
namespace {

constexpr const char* module_file = "libmoescope_torch_engine.so";

}  // namespace

Expected<std::shared_ptr<Engine>> load_engine_module() {
  prepare_process_environment();  // OpenMP reads it when the module brings it in
  const auto file = find_module(
      module_file,
      "Install the package moescope-engine-torch, build with LibTorch present, or set MOESCOPE_MODULE_PATH");
  if (!file) return fail(file.error());
  const auto library = DynamicLibrary::load(*file);
  if (!library) {
    return fail(ErrorKind::module, "the engine module could not be loaded: " + library.error().what, file->string(),
                "Check that LibTorch is installed in the version the module was built with");
  }
  const auto build_id = reinterpret_cast<const char* (*)()>(library->symbol("moescope_engine_build_id"));
  const auto create = reinterpret_cast<Engine* (*)()>(library->symbol("moescope_engine_create"));
  if (!build_id || !create) {
    return fail(ErrorKind::module, "this library is not an engine module", file->string(),
                "Remove it or point MOESCOPE_MODULE_PATH elsewhere");
  }
  if (std::string(build_id()) != build_id_text) {
    return fail(
        ErrorKind::module,
        std::string("the engine module belongs to another build (") + build_id() + ", this is " + build_id_text + ")",
        file->string(), "Install the module of this version");
  }
  std::shared_ptr<Engine> engine(create());
  if (!engine) return fail(ErrorKind::module, "the engine module did not start", file->string());
  return engine;
}

}  // namespace moescope
