// TorchScript files, which are programs: run only when --torchscript says so, in the engine's own process, with a limit
// on time and memory. Main thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/engine/engine.h"

namespace moescope::cli {

struct ScriptLimits {
  double seconds = 600;
  double memory_gb = 0;  // 0 = half of what is free
};

// "1,2,3" as one sequence; there is no vocabulary to check against. Error (usage): no numbers.
[[nodiscard]] Expected<SequenceInput> script_ids(const std::string& ids);

// Runs a request with `script` set in a worker process, which is ended when the time is over. Error (input) then.
[[nodiscard]] Expected<RunSummary> run_torchscript(RunRequest request, const ScriptLimits& limits);

// info FILE --torchscript.
[[nodiscard]] Expected<void> describe_torchscript(const std::string& file, bool json);

}  // namespace moescope::cli
