// Runs of TorchScript modules, on explicit request only: a script is a program. Called by the engine; one thread.
#pragma once

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/engine/engine.h"

namespace moescope::torch_engine {

// Loads request.checkpoint as a TorchScript module and, unless only asked what it has, runs each sequence of ids as
// forward(ids [1, tokens] int64) and writes what its routers chose as a trace. On the CPU, in the module's own types.
// Private memory beyond request.memory_limit (half of what is free when 0) is refused by the system while it runs.
// Errors: input for a file that cannot be loaded (with the operator that this LibTorch does not know), a module whose
// forward wants something else, routers that are not found; usage for names of modules that do not exist.
[[nodiscard]] Expected<RunSummary> run_script(const RunRequest& request, const WorkContext& work);

}  // namespace moescope::torch_engine
