// Joining foreign traces with their model: what an import needs to know of a checkpoint folder, or of a config.json or
// tokenizer.json alone. Called by the open command and the command line; pure, any thread.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/trace/import/importer.h"

namespace moescope {

// Puts the facts of config.json and the bytes of tokenizer.json (where there is one) into the options. Errors (input):
// neither is there, or one that is there cannot be read.
[[nodiscard]] MOESCOPE_API Expected<void> join_model(const std::filesystem::path& model, ImportOptions& options);

// The options of an import as the session keeps them and commands take them: format, model (a path), top_k, experts,
// layers; all may be absent. Errors (usage) name the one that is wrong.
[[nodiscard]] MOESCOPE_API Expected<ImportOptions> import_options_from_json(const nlohmann::json& json);

}  // namespace moescope
