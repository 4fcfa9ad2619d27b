// The forward pass of a run: a group of sequences through the layers, with the hooks between the blocks. Called by the
// engine; one thread (torch uses more inside).
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/engine/engine.h"
#include "plugins/torch_engine/recorder.h"
#include "plugins/torch_engine/run_plan.h"
#include "plugins/torch_engine/weights.h"

namespace moescope::torch_engine {

// Runs one group of `plan`. `recorder` may be null: then nothing is kept and the head is computed all the same. Throws
// Interrupted on a cancel and c10::Error when torch fails; the engine catches both.
[[nodiscard]] Expected<void> run_group(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group,
                                       const ModelSpec& spec, Weights& weights, Recorder* recorder,
                                       const WorkContext& work);

}  // namespace moescope::torch_engine
