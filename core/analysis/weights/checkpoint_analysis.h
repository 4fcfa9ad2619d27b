// Analyses of a checkpoint's weights: the same Results as those of traces, so they are drawn, reported, exported and
// cached alike. run() may be called from any thread, several at once.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/analysis/result.h"
#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/model/checkpoint.h"

namespace moescope {

struct CheckpointInput {
  const Checkpoint& checkpoint;
  nlohmann::json params;  // checked against the specs, defaults filled in
  WorkContext work;
};

struct CheckpointAnalysisSpec {
  AnalysisSpec about;  // name, title, help, version and parameters; its functions are empty
  std::function<Expected<Result>(const CheckpointInput&)> run;
};

// model_card, tensors, router_weights, expert_norms, expert_similarity, expert_spectra. Built once: any thread.
[[nodiscard]] MOESCOPE_API std::span<const CheckpointAnalysisSpec> checkpoint_analyses();
[[nodiscard]] MOESCOPE_API const CheckpointAnalysisSpec* find_checkpoint_analysis(const std::string& name);

// Checks parameters, runs, fills the provenance and checks that the files are still whole. Errors: usage for parameters
// and layers that do not fit, input for weights that cannot be read, cancelled.
[[nodiscard]] MOESCOPE_API Expected<Result> run_checkpoint_analysis(const std::string& name,
                                                                    const Checkpoint& checkpoint,
                                                                    const nlohmann::json& params,
                                                                    const WorkContext& work = {});

// The layers that have experts, ascending: the rows of `expert_norms` and of a trace of the model.
[[nodiscard]] MOESCOPE_API std::vector<std::uint32_t> expert_layers(const ModelSpec& spec);

// Seconds that an analysis takes on this machine, roughly, so that long ones can be offered instead of begun: bytes to
// read and products to make, at cautious rates. `params` as for a run; unknown names and layers give 0.
[[nodiscard]] MOESCOPE_API double estimated_seconds(const std::string& name, const Checkpoint& checkpoint,
                                                    const nlohmann::json& params);

}  // namespace moescope
