// The forward pass of a run: a group of sequences through the layers, with the hooks between the blocks. Called by the
// engine; one thread (torch uses more inside).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/engine/engine.h"
#include "plugins/torch_engine/recorder.h"
#include "plugins/torch_engine/run_plan.h"
#include "plugins/torch_engine/weights.h"

namespace moescope::torch_engine {

// What the layers keep of the tokens of one sequence, so that the next ones need not run them again.
struct SequenceCache {
  struct Layer {
    blocks::KvCache attention;
    blocks::MambaCache mamba;
  };
  std::vector<Layer> layers;
  std::int64_t length = 0;  // tokens that are in it
};

// Runs `ids` of sequence `sequence` of the plan after the tokens in `cache`, and adds them to it. Records them as
// tokens cache.length … of the sequence, their losses except the last's. Returns the logits of the last one, [V]
// float32 on the CPU. Throws as run_group does.
[[nodiscard]] Expected<at::Tensor> run_tokens(const RunRequest& request, const RunPlan& plan, std::size_t sequence,
                                              std::span<const std::int32_t> ids, SequenceCache& cache,
                                              const ModelSpec& spec, Weights& weights, RecordSink& sink,
                                              const WorkContext& work);

// Runs one group of `plan`. `recorder` may be null: then nothing is kept and the head is computed all the same. Throws
// Interrupted on a cancel and c10::Error when torch fails; the engine catches both.
[[nodiscard]] Expected<void> run_group(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group,
                                       const ModelSpec& spec, Weights& weights, RecordSink* recorder,
                                       const WorkContext& work);

}  // namespace moescope::torch_engine
