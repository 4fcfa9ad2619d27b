// Where the program's data files lie: MOESCOPE_RESOURCES, then share/moescope beside the program's folder, then the
// source tree it was built from. Any thread.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// A file or folder of the resources, "sample/model". Error (input) names the places that were looked at.
[[nodiscard]] MOESCOPE_API Expected<std::filesystem::path> find_resource(const std::string& name);

}  // namespace moescope
