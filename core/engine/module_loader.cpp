#include "core/engine/module_loader.h"

#include <string>
#include <utility>

#include "core/base/module_folders.h"
#include "core/base/threads.h"
#include "core/base/version.h"

namespace moescope {

Expected<DynamicLibrary> load_module(const ModuleName& module) {
  prepare_process_environment();  // OpenMP reads it when a module brings it in
  const std::string title = module.title;
  const auto file = find_module(module.file, module.missing);
  if (!file) {
    Error error = file.error();
    error.what = title + " " + module.file + " was not found";
    return fail(std::move(error));
  }
  auto library = DynamicLibrary::load(*file);
  if (!library) {
    return fail(ErrorKind::module, title + " could not be loaded: " + library.error().what, file->string(),
                module.broken);
  }
  const auto build_id = reinterpret_cast<const char* (*)()>(library->symbol(module.build_id));
  if (!build_id) {
    return fail(ErrorKind::module, "this library is not " + title, file->string(),
                "Remove it or point MOESCOPE_MODULE_PATH elsewhere");
  }
  if (std::string(build_id()) != build_id_text) {
    return fail(ErrorKind::module,
                title + " belongs to another build (" + build_id() + ", this is " + build_id_text + ")", file->string(),
                "Install the module of this version");
  }
  return library;
}

}  // namespace moescope
