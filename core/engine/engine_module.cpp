// Loads the engine module into this process.
#include "core/engine/engine.h"
#include "core/engine/module_loader.h"

namespace moescope {

Expected<std::shared_ptr<Engine>> load_engine_module() {
  const auto library = load_module(
      {"libmoescope_torch_engine.so", "the engine module", "moescope_engine_build_id",
       "Install the package moescope-engine-torch, build with LibTorch present, or set MOESCOPE_MODULE_PATH",
       "Check that LibTorch is installed in the version the module was built with"});
  if (!library) return fail(library.error());
  const auto create = reinterpret_cast<Engine* (*)()>(library->symbol("moescope_engine_create"));
  std::shared_ptr<Engine> engine(create ? create() : nullptr);
  if (!engine) return fail(ErrorKind::module, "the engine module did not start");
  return engine;
}

}  // namespace moescope
