// Entry points of the module, called by core's loader.
#include "core/base/version.h"
#include "plugins/serving_client/serving_client.h"

extern "C" {

MOESCOPE_API const char* moescope_serving_build_id() {
  return moescope::build_id_text;
}

// The caller owns the client.
MOESCOPE_API moescope::ServingClient* moescope_serving_create() {
  try {
    return new moescope::serving::HttpServingClient();
  } catch (...) {
    return nullptr;
  }
}
}
