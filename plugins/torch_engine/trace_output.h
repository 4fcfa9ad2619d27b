// What the trace file says besides what the recorder saw. Used by the engine around the forward pass; one thread.
#pragma once

#include "core/base/error.h"
#include "core/engine/engine.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace.h"
#include "plugins/torch_engine/output_sampler.h"
#include "plugins/torch_engine/run_plan.h"

namespace moescope::torch_engine {

// What is known of the trace before the run: info, text, vocabulary. No segments.
[[nodiscard]] Trace trace_head(const RunRequest& request, const RunPlan& plan, const Checkpoint& checkpoint);

// Adds the columns that the request knows: ids, positions, text ranges, tags.
void add_request_columns(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group, const Trace& head,
                         Segment& segment);

// Sampled expert outputs beside the trace ("x.routes.safetensors" → "x.outputs.safetensors"): per row N the tensors
// row.N.outputs [n, H] F32, row.N.experts [n] I32, row.N.tokens [n] I32. Returns the file.
[[nodiscard]] Expected<std::string> write_sampled_outputs(const RunRequest& request, const RunPlan& plan,
                                                          const OutputSampler& sampler);

}  // namespace moescope::torch_engine
