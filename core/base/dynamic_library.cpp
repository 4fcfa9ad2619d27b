#include "core/base/dynamic_library.h"

#include <dlfcn.h>

namespace moescope {

Expected<DynamicLibrary> DynamicLibrary::load(const std::filesystem::path& file) {
  void* handle = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!handle) {
    const char* reason = ::dlerror();
    return fail(ErrorKind::module, reason ? reason : "the library could not be loaded", file.string());
  }
  return DynamicLibrary(handle);
}

void* DynamicLibrary::symbol(const char* name) const {
  return ::dlsym(handle_, name);
}

}  // namespace moescope
