// The training run: batches, losses, schedule, checkpoints at chosen steps. Called by moescope-train and its test; one
// thread calls.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "core/base/error.h"
#include "plugins/torch_engine/train/corpus.h"
#include "plugins/torch_engine/train/lm_model.h"

namespace moescope::train {

struct TrainSettings {
  std::int64_t steps = 2400, batch = 12, length = 256, warm_up = 60;
  double learning_rate = 3e-3, last_rate = 0.05;  // cosine from the first to this share of it
  double balance_weight = 0.01, z_weight = 0.001;
  std::uint64_t seed = 1;
  std::vector<std::int64_t> keep_steps;  // weights are shown to `keep` after these many steps
};

struct StepReport {
  std::int64_t step = 0;
  double loss = 0, balance = 0, z = 0, gradient_norm = 0;
};

// Trains from the seed and returns the weights. The same settings, streams, machine and LibTorch thread count give the
// same weights. `report` is called after each step; `keep` at keep_steps (0 = before the first).
[[nodiscard]] Expected<blocks::ModelWeights> train_model(
    const ModelShape& shape, const TrainSettings& settings, const TokenStreams& streams,
    const std::function<void(const StepReport&)>& report,
    const std::function<Expected<void>(std::int64_t, const blocks::ModelWeights&)>& keep);

}  // namespace moescope::train
