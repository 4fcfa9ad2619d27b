// Loads the client of serving engines into this process.
#include "core/engine/module_loader.h"
#include "core/engine/serving.h"

namespace moescope {

Expected<std::shared_ptr<ServingClient>> load_serving_client() {
  const auto library =
      load_module({"libmoescope_serving_client.so", "the serving client module", "moescope_serving_build_id",
                   "Install libcpp-httplib and build with it, or set MOESCOPE_MODULE_PATH",
                   "Check that libcpp-httplib is installed in the version the module was built with"});
  if (!library) return fail(library.error());
  const auto create = reinterpret_cast<ServingClient* (*)()>(library->symbol("moescope_serving_create"));
  std::shared_ptr<ServingClient> client(create ? create() : nullptr);
  if (!client) return fail(ErrorKind::module, "the serving client module did not start");
  return client;
}

}  // namespace moescope
