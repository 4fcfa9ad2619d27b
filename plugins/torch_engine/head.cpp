#include "plugins/torch_engine/head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "plugins/torch_engine/blocks/projection.h"

namespace moescope::torch_engine {
namespace {

// Elements of one chunk of logits, and operations in its product.
constexpr std::int64_t chunk_elements = 4 << 20;
constexpr double chunk_flop = 1.5e10;

at::Tensor normed_for_head(const Head& head, const at::Tensor& hidden) {
  const at::Tensor normed = head.kind == Norm::rms
                                ? blocks::rms_norm(hidden, head.norm, head.epsilon)
                                : blocks::layer_norm(hidden, head.norm, head.norm_bias, head.epsilon);
  return normed.to(head.compute);
}

at::Tensor logits_of_normed(const Head& head, const at::Tensor& normed) {
  at::Tensor logits = blocks::product(normed, head.weight);
  if (head.bias.defined()) logits = logits + head.bias;
  return head.logits_divisor == 1.0 ? logits : logits / head.logits_divisor;
}

}  // namespace

at::Tensor head_logits(const Head& head, const at::Tensor& hidden) {
  return logits_of_normed(head, normed_for_head(head, hidden));
}

Expected<Head> make_head(const ModelSpec& spec, Weights& weights) {
  Head head;
  const auto read = [&](at::Tensor& place, WeightRole role) -> Expected<void> {
    if (!find_weight(spec, role)) return {};
    return weights.outside(role).map([&](const at::Tensor& made) { place = made; });
  };
  if (auto ok = read(head.norm, WeightRole::final_norm); !ok) return fail(ok.error());
  if (auto ok = read(head.norm_bias, WeightRole::final_norm_bias); !ok) return fail(ok.error());
  if (auto ok = read(head.bias, WeightRole::lm_head_bias); !ok) return fail(ok.error());
  auto weight = weights.lm_head();
  if (!weight) return fail(weight.error());
  head.weight = std::move(*weight);
  head.kind = spec.norm;
  head.logits_divisor = spec.logits_divisor;
  head.epsilon = spec.norm_epsilon;
  head.compute = weights.compute();
  return head;
}

void run_head(const Head& head, const at::Tensor& hidden, std::span<const std::int32_t> ids,
              const std::vector<std::int64_t>& lengths, const TokenRuns& runs, RecordSink* recorder,
              const blocks::Interrupt& interrupt) {
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const std::int64_t vocabulary = head.weight.size(0);
  // The token to be predicted at each place; −1 at the end of a sequence.
  std::vector<std::int64_t> next(ids.begin() + 1, ids.end());
  next.push_back(-1);
  for (std::int64_t end = 0; const std::int64_t length : lengths) {
    end += length;
    next[static_cast<std::size_t>(end - 1)] = -1;
  }
  const at::Tensor targets = at::tensor(next).to(hidden.device());
  const double flop = 2.0 * static_cast<double>(head.weight.numel());
  const std::int64_t chunk = std::clamp<std::int64_t>(
      std::min(chunk_elements / vocabulary, static_cast<std::int64_t>(chunk_flop / flop)), 1, tokens);
  const at::Tensor normed = normed_for_head(head, hidden);
  std::vector<float> losses;
  for (std::int64_t first = 0; first < tokens; first += chunk) {
    if (interrupt) interrupt();
    const std::int64_t rows = std::min(chunk, tokens - first);
    const at::Tensor logits = logits_of_normed(head, normed.narrow(0, first, rows));
    const at::Tensor target = at::clamp_min(targets.narrow(0, first, rows), 0);
    const at::Tensor loss =
        blocks::kernels::usable(logits)
            ? blocks::kernels::cross_entropy(logits, target)
            : at::sub(at::logsumexp(logits, {1}), at::gather(logits, 1, target.unsqueeze(1)).squeeze(1)).cpu();
    losses.assign(loss.data_ptr<float>(), loss.data_ptr<float>() + rows);
    for (std::int64_t t = 0; t < rows; ++t) {
      if (next[static_cast<std::size_t>(first + t)] < 0) {
        losses[static_cast<std::size_t>(t)] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    if (recorder) recorder->tokens(runs, static_cast<std::size_t>(first), losses, logits);
  }
}

}  // namespace moescope::torch_engine
