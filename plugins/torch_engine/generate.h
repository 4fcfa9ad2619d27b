// Generation: prompts run once, then one token after another with what the layers kept. Used by the engine; one thread.
#pragma once

#include <functional>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/engine/engine.h"
#include "plugins/torch_engine/record_sink.h"
#include "plugins/torch_engine/run_plan.h"
#include "plugins/torch_engine/weights.h"

namespace moescope::torch_engine {

// What became of the prompts of a run.
struct Generation {
  RunRequest extended;                            // the request with the generated tokens at the end of its sequences
  std::vector<std::vector<std::int32_t>> tokens;  // [planned sequences] the generated ones
  std::vector<DecisionLog> logs;                  // [planned sequences] what prompt and generated tokens did
};

// Shown what there is so far, after the prompt and after every token: the request with the tokens of the sequences that
// have a log, the last of which is under way; those after it have not begun.
using GenerationSoFar = std::function<void(const RunRequest& extended, const std::vector<DecisionLog>& logs)>;

// Every generated token runs too, so that its routing is recorded. Text and byte ranges grow where the request has
// them. Errors as of a run; throws as run_group does.
[[nodiscard]] Expected<Generation> generate_tokens(const RunRequest& request, const RunPlan& plan,
                                                   const Checkpoint& checkpoint, Weights& weights,
                                                   const GenerationSoFar& so_far, const WorkContext& work);

}  // namespace moescope::torch_engine
