// JSON from files we do not trust: a size limit, a depth limit, no key twice, no exception. Called by readers of small
// JSON files (index, config, metadata); any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

inline constexpr std::size_t json_bytes_limit = std::size_t{64} << 20U;
inline constexpr int json_depth_limit = 64;

// Parses a whole text. `where` names it in errors. Errors (input): too long, nested too deeply, a key twice in one
// object, not UTF-8 JSON (with the byte).
[[nodiscard]] MOESCOPE_API Expected<nlohmann::json> parse_json(std::string_view text, const std::string& where);

// Calls `use` with each line that is not blank and its place ("prompts.jsonl, line 3"). Stops at the first line that is
// no JSON and at the first error of `use`, and returns it.
using JsonLineUse = std::function<Expected<void>(const nlohmann::json& line, const std::string& place)>;
[[nodiscard]] MOESCOPE_API Expected<void> for_each_json_line(std::string_view lines, const std::string& where,
                                                             const JsonLineUse& use);

}  // namespace moescope
