// Where modules, the libraries loaded at run time, may lie. Called by those who load one. Any thread.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// The first file of this name in the folders of MOESCOPE_MODULE_PATH, beside the program, in ../lib and ../lib/moescope
// of it, and beside the core library. Error (module): names the folders that were looked in; `advice` goes with it.
[[nodiscard]] MOESCOPE_API Expected<std::filesystem::path> find_module(const std::string& file,
                                                                       const std::string& advice);

}  // namespace moescope
