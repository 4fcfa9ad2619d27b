#include "plugins/torch_engine/routing.h"

#include <ATen/ATen.h>

#include <cmath>

#include "plugins/torch_engine/blocks/router.h"

namespace moescope::torch_engine {
namespace {

// The choice of a router from core on rows of logits.
void choose_on_rows(const at::Tensor& logits, const at::Tensor& selection_bias, const LayerHooks& hooks,
                    std::uint32_t index, const BatchTokens& tokens, RowDecision& decision) {
  at::Tensor rows = logits;
  if (!hooks.bias.empty()) rows = logits + at::tensor(hooks.bias);
  rows = rows.contiguous();
  RouterInput input;
  input.tokens = static_cast<std::size_t>(rows.size(0));
  input.experts = static_cast<std::size_t>(rows.size(1));
  input.logits = std::span<const float>(rows.data_ptr<float>(), static_cast<std::size_t>(rows.numel()));
  input.token_ids = tokens.ids;
  input.sequences = tokens.sequences;
  input.positions = tokens.positions;
  input.layer = index;
  input.force = hooks.force;
  const at::Tensor bias = selection_bias.defined() ? selection_bias.cpu().contiguous() : selection_bias;
  if (bias.defined()) {
    input.selection_bias = std::span<const float>(bias.data_ptr<float>(), static_cast<std::size_t>(bias.numel()));
  }
  const RouterChoice choice = hooks.router->choose(input);
  const auto slots = static_cast<std::int64_t>(choice.slots);
  decision.ids = at::empty({rows.size(0), slots}, rows.options().dtype(at::kLong));
  std::copy(choice.ids.begin(), choice.ids.end(), decision.ids.data_ptr<std::int64_t>());
  decision.weights = at::empty({rows.size(0), slots}, rows.options());
  std::copy(choice.weights.begin(), choice.weights.end(), decision.weights.data_ptr<float>());
}

// Most tokens of one expert in a sequence of `tokens`: ceil(factor · tokens · k / E) of a hook, else the model's own.
std::size_t room_for(const std::optional<double>& factor, const LayerSpec& layer, std::size_t tokens) {
  if (!factor) return layer.rule.expert_capacity;
  const double share = *factor * static_cast<double>(tokens * layer.k) / layer.experts;
  return static_cast<std::size_t>(std::ceil(share - 1e-9));
}

// Marks what does not fit into the experts' room, in token order.
void drop_over_capacity(const std::optional<double>& factor, const LayerSpec& layer, const BatchTokens& tokens,
                        RowDecision& decision) {
  decision.ids = decision.ids.contiguous();
  decision.dropped = at::zeros(decision.ids.sizes(), decision.ids.options().dtype(at::kByte));
  const auto* id = decision.ids.data_ptr<std::int64_t>();
  auto* dropped = decision.dropped.data_ptr<std::uint8_t>();
  const auto slots = static_cast<std::size_t>(decision.ids.size(1));
  std::vector<std::size_t> used(layer.experts);
  for (std::size_t begin = 0, end = 0; begin < tokens.sequences.size(); begin = end) {
    while (end < tokens.sequences.size() && tokens.sequences[end] == tokens.sequences[begin]) ++end;
    std::fill(used.begin(), used.end(), std::size_t{0});
    const std::size_t room = room_for(factor, layer, end - begin);
    for (std::size_t s = begin * slots; s < end * slots; ++s) {
      if (id[s] < 0 || id[s] >= layer.experts) continue;
      dropped[s] = used[static_cast<std::size_t>(id[s])]++ >= room ? 1 : 0;
    }
  }
}

}  // namespace

RoutedBatch route_batch(const at::Tensor& logits, const at::Tensor& selection_bias, const LayerSpec& layer,
                        const LayerHooks& hooks, std::uint32_t index, const BatchTokens& tokens) {
  RoutedBatch out;
  const bool capacity = hooks.capacity || (hooks.own_rule && layer.rule.expert_capacity > 0);
  if (!hooks.router) {
    blocks::Routing routing = blocks::route(logits, layer.rule, layer.k, selection_bias);
    out.ids = routing.ids;
    out.weights = routing.weights;
    out.decision.ids = routing.ids.cpu();
    out.decision.weights = routing.weights.cpu();
    if (routing.margin.defined()) out.decision.margin = routing.margin.cpu();
    out.decision.logits = logits.cpu();
    if (!capacity) return out;
  } else {
    out.decision.logits = logits.cpu();
    choose_on_rows(out.decision.logits, selection_bias, hooks, index, tokens, out.decision);
  }
  at::Tensor computed = out.decision.ids;
  if (hooks.router && hooks.router->null_experts() > 0) {
    computed = at::where(computed.ge(static_cast<std::int64_t>(layer.experts)), at::full_like(computed, -1), computed);
  }
  if (capacity) {
    drop_over_capacity(hooks.capacity, layer, tokens, out.decision);
    computed = at::where(out.decision.dropped.to(at::kBool), at::full_like(computed, -1), computed);
  }
  out.ids = computed.to(logits.device());
  out.weights = out.decision.weights.to(logits.device());
  return out;
}

}  // namespace moescope::torch_engine
