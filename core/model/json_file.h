// JSON files of a checkpoint folder, read as hostile: size and nesting are bounded before parsing, errors name line and
// column. Called when a checkpoint or tokenizer is opened; pure, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// The whole of a regular file of at most `max_bytes`. Errors (input): missing, a folder, too large, not readable.
[[nodiscard]] MOESCOPE_API Expected<std::string> read_small_file(const std::filesystem::path& file,
                                                                 std::uint64_t max_bytes);
// Parses an object or list. Errors (input): empty, nested deeper than 100, not JSON (line and column of `file`).
[[nodiscard]] MOESCOPE_API Expected<nlohmann::json> parse_json_text(std::string_view text,
                                                                    const std::filesystem::path& file);

}  // namespace moescope
