// Lines between the program and the worker `moescope-engine`, one JSON object each.
//   to the worker:   {"command": "info" | "run" | "cancel", "id": n, "request": …}
//   from the worker: {"id": n, "progress": {"stage", "fraction"}} | {"id": n, "result": …} |
//                    {"id": n, "error": {"kind", "what", "where", "advice"}}
// An answer belongs to the command with the same id. A closed input ends the worker.
#pragma once

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/engine/engine.h"

namespace moescope {

[[nodiscard]] MOESCOPE_API nlohmann::json error_to_json(const Error& error);
[[nodiscard]] MOESCOPE_API Error error_from_json(const nlohmann::json& json);
[[nodiscard]] MOESCOPE_API nlohmann::json engine_info_to_json(const EngineInfo& info);
[[nodiscard]] MOESCOPE_API Expected<EngineInfo> engine_info_from_json(const nlohmann::json& json);

// A line as JSON; nothing when it is not an object.
[[nodiscard]] MOESCOPE_API std::optional<nlohmann::json> parse_line(const std::string& line);
// One line, with bytes that are not UTF-8 (token texts may hold half characters) replaced.
[[nodiscard]] MOESCOPE_API std::string to_line(const nlohmann::json& json);

}  // namespace moescope
