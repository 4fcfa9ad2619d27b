// The options that every run of a checkpoint takes: what to run, where, and the file to write. Called by the commands
// that run the engine; one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/engine/engine.h"
#include "core/model/checkpoint.h"

namespace moescope::cli {

struct RunOptions {
  std::string checkpoint, prompt, ids, format = "raw", out, dtype = "float32", device = "auto";
  double memory_gb = 0;
  bool force = false, json = false;
};

// The checkpoint; the group of inputs, of which exactly one is to be given, with --prompt and --ids in it.
CLI::Option_group* add_input_options(CLI::App& command, RunOptions& options, const std::string& title);
// --out, --force, --format, --dtype, --device, --memory-limit and --json.
void add_engine_options(CLI::App& command, RunOptions& options);

// The request with checkpoint, type, device, memory limit and file filled in.
[[nodiscard]] RunRequest request_of(const Checkpoint& checkpoint, const RunOptions& options);
// Runs it on the engine module under a progress bar called `title`.
[[nodiscard]] Expected<RunSummary> run_request(const RunRequest& request, const std::string& title);

}  // namespace moescope::cli
