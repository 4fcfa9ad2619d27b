#include "plugins/torch_engine/train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "plugins/torch_engine/train/adamw.h"

namespace moescope::train {
namespace {

double rate_at(std::int64_t step, const TrainSettings& s) {
  if (step < s.warm_up) return s.learning_rate * static_cast<double>(step + 1) / static_cast<double>(s.warm_up);
  const double done =
      static_cast<double>(step - s.warm_up) / static_cast<double>(std::max<std::int64_t>(1, s.steps - s.warm_up));
  return s.learning_rate * (s.last_rate + (1.0 - s.last_rate) * 0.5 * (1.0 + std::cos(std::numbers::pi * done)));
}

}  // namespace

Expected<blocks::ModelWeights> train_model(
    const ModelShape& shape, const TrainSettings& settings, const TokenStreams& streams,
    const std::function<void(const StepReport&)>& report,
    const std::function<Expected<void>(std::int64_t, const blocks::ModelWeights&)>& keep) {
  for (std::size_t d = 0; d < streams.tokens.size(); ++d) {
    if (static_cast<std::int64_t>(streams.tokens[d].size()) <= settings.length + 1) {
      return fail(ErrorKind::input,
                  fmt::format("domain \"{}\" has only {} tokens", streams.domains[d], streams.tokens[d].size()),
                  "corpus", "Give more text or a shorter --length.");
    }
  }
  blocks::ModelWeights weights = initial_weights(shape, settings.seed);
  AdamW optimiser(parameters(weights), {});
  std::mt19937_64 random(settings.seed);
  for (std::int64_t step = 0; step <= settings.steps; ++step) {
    if (std::find(settings.keep_steps.begin(), settings.keep_steps.end(), step) != settings.keep_steps.end()) {
      if (auto kept = keep(step, weights); !kept) return Unexpected(kept.error());
    }
    if (step == settings.steps) break;
    std::vector<std::int64_t> ids = draw_batch(streams, static_cast<std::size_t>(settings.batch),
                                               static_cast<std::size_t>(settings.length), random);
    const at::Tensor windows = at::from_blob(ids.data(), {settings.batch, settings.length + 1}, at::kLong);
    const blocks::ModelOutput out = forward(weights, shape, windows.slice(1, 0, settings.length));
    const at::Tensor loss = at::cross_entropy_loss(out.logits, windows.slice(1, 1).reshape({-1}));
    const at::Tensor balance = balance_loss(out.routing), z = router_z_loss(out.routing);
    (loss + balance * settings.balance_weight + z * settings.z_weight).backward();
    const double norm = optimiser.step(rate_at(step, settings));
    const StepReport done{step + 1, loss.item<double>(), balance.item<double>(), z.item<double>(), norm};
    if (!std::isfinite(done.loss) || !std::isfinite(norm)) {
      return fail(ErrorKind::input, "the loss is not finite", fmt::format("step {}", done.step), "Lower --rate.");
    }
    report(done);
  }
  return weights;
}

}  // namespace moescope::train
