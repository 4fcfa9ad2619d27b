// Deciding what a path is, by content. Called by info and by whatever takes any kind of file. Main thread.
#pragma once

#include <filesystem>
#include <memory>
#include <variant>

#include "core/base/error.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace.h"

namespace moescope::cli {

struct SessionFile {
  std::filesystem::path path;
};
using Input = std::variant<std::shared_ptr<const Checkpoint>, std::shared_ptr<const Trace>, SessionFile>;

// Error (input): what was looked for, when it is none of them.
[[nodiscard]] Expected<Input> open_input(const std::filesystem::path& path);
// A trace file; other things are refused by name.
[[nodiscard]] Expected<std::shared_ptr<const Trace>> open_trace(const std::filesystem::path& path);

}  // namespace moescope::cli
