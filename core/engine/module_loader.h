// Finds and loads the modules that programs use through an interface of core (the engine, the client of serving
// engines): where they are looked for, and the check that they belong to this build. Any thread.
#pragma once

#include "core/base/dynamic_library.h"
#include "core/base/error.h"

namespace moescope {

struct ModuleName {
  const char* file;      // "libmoescope_torch_engine.so"
  const char* title;     // "the engine module"
  const char* build_id;  // symbol of a function that gives the build id it was made with
  const char* missing;   // advice when it is not there
  const char* broken;    // advice when the loader refuses it
};

// Looked for in the folders of MOESCOPE_MODULE_PATH, then beside the program and beside core. Error (module): not
// found (with the folders), not loadable, no module of this kind, of another build.
[[nodiscard]] Expected<DynamicLibrary> load_module(const ModuleName& module);

}  // namespace moescope
