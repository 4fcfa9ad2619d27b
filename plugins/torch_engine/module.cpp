// Entry points of the engine module, called by core's loader.
#include "core/base/version.h"
#include "plugins/torch_engine/torch_engine.h"

extern "C" {

MOESCOPE_API const char* moescope_engine_build_id() {
  return moescope::build_id_text;
}

// The caller owns the engine.
MOESCOPE_API moescope::Engine* moescope_engine_create() {
  try {
    return new moescope::torch_engine::TorchEngine();
  } catch (...) {
    return nullptr;
  }
}
}
