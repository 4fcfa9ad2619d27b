// What info says of each kind of file: for people as facts, for programs as JSON. Pure functions of what was opened.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli/console.h"
#include "core/base/error.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace.h"

namespace moescope::cli {

struct Description {
  Facts facts;
  nlohmann::json json;
};

[[nodiscard]] Description describe_checkpoint(const Checkpoint& checkpoint);
[[nodiscard]] Description describe_trace(const Trace& trace, const std::filesystem::path& path);
[[nodiscard]] Expected<Description> describe_session(const std::filesystem::path& path);

}  // namespace moescope::cli
