#include "plugins/torch_engine/blocks/moe.h"

#include <ATen/ATen.h>

#include "plugins/torch_engine/blocks/grouped.h"
#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/memory.h"
#include "plugins/torch_engine/blocks/projection.h"

namespace moescope::blocks {

namespace {

at::Tensor with_bias(const at::Tensor& product, const at::Tensor& bias) {
  return bias.defined() ? product + bias.to(product.scalar_type()) : product;
}

// [n, 2I] float32: gate's columns, then up's, if there is an up.
at::Tensor gate_and_up(const at::Tensor& x, const ExpertWeights& expert) {
  if (expert.gate_up.defined()) {
    return with_bias(product(x, expert.gate_up), expert.gate_up_bias);
  }
  const at::Tensor gate = with_bias(product(x, expert.gate), expert.gate_bias);
  if (!expert.up.defined()) return gate;
  const at::Tensor up = with_bias(product(x, expert.up), expert.up_bias);
  return at::cat({gate, up}, 1);
}

// The same of both in one tensor [n, 2I] float32, in one pass.
at::Tensor activated_on_cpu(const at::Tensor& both, const ExpertRule& rule) {
  switch (rule.activation) {
    case Activation::relu:
      return at::relu(both);
    case Activation::clamped_swiglu:
      return kernels::clamped_swiglu_product(both, rule.limit);
    default:
      return kernels::silu_product(both);
  }
}

at::Tensor activated(const at::Tensor& gate, const at::Tensor& up, const ExpertRule& rule) {
  if (rule.activation == Activation::silu) return at::mul(at::silu(gate), up);
  const at::Tensor g = at::clamp_max(gate, rule.limit), u = at::clamp(up, -rule.limit, rule.limit);
  return (u + 1.0) * g * at::sigmoid(1.702 * g);
}

// All experts at once, where that is possible: outputs [S, H], or undefined.
at::Tensor grouped_outputs(const at::Tensor& gathered, const Dispatch& dispatch, const Experts& experts,
                           const ExpertRule& rule) {
  if (!experts.all_gate_up.defined() || !experts.weights_of.empty() || gathered.size(0) == 0) return {};
  const GroupedProduct multiply = grouped_product(gathered);
  if (!multiply) return {};
  try {
    const at::Tensor both = multiply(gathered, experts.all_gate_up, dispatch.begin);
    const std::int64_t half = both.size(1) / 2;
    const at::Tensor inner = rule.activation == Activation::relu
                                 ? at::relu(both)
                                 : activated(both.narrow(1, 0, half), both.narrow(1, half, half), rule);
    return multiply(inner, experts.all_down, dispatch.begin);
  } catch (const std::exception& e) {
    // A card or a shape that it does not serve; the products one by one serve all.
    if (torch_engine::is_out_of_memory(e.what())) throw;
    give_up_grouped_products();
    return {};
  }
}

}  // namespace

Dispatch dispatch_by_expert(const at::Tensor& ids, std::int64_t experts) {
  const at::Tensor local = ids.detach().to(at::kCPU).contiguous();
  const std::int64_t tokens = local.size(0), k = local.size(1), slots = tokens * k;
  const auto* id = local.data_ptr<std::int64_t>();
  Dispatch out;
  out.token_count = tokens;
  out.slot_count = k;
  out.begin.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (std::int64_t s = 0; s < slots; ++s) {
    if (id[s] >= 0) ++out.begin[static_cast<std::size_t>(id[s]) + 1];
  }
  for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e) out.begin[e + 1] += out.begin[e];
  const std::int64_t filled = out.begin.back();
  at::Tensor token_of = at::empty({filled}, local.options()), slot_of = at::empty({filled}, local.options());
  auto* token = token_of.data_ptr<std::int64_t>();
  auto* slot = slot_of.data_ptr<std::int64_t>();
  out.places = at::empty({slots}, local.options());
  auto* place_of = out.places.data_ptr<std::int64_t>();
  std::vector<std::int64_t> next(out.begin.begin(), out.begin.end() - 1);
  for (std::int64_t s = 0; s < slots; ++s) {
    place_of[s] = -1;
    if (id[s] < 0) continue;
    const std::int64_t place = next[static_cast<std::size_t>(id[s])]++;
    place_of[s] = place;
    token[place] = s / k;
    slot[place] = s;
  }
  out.tokens = token_of.to(ids.device());
  out.slots = slot_of.to(ids.device());
  return out;
}

at::Tensor expert_mlp(const at::Tensor& x, const ExpertWeights& expert, const ExpertRule& rule) {
  if (kernels::inference_on_cpu(x)) {
    const at::Tensor inner = activated_on_cpu(gate_and_up(x, expert), rule).to(x.scalar_type());
    const at::Tensor out =
        kernels::thin(inner, expert.down) ? kernels::thin_product(inner, expert.down) : at::mm(inner, expert.down.t());
    return with_bias(out, expert.down_bias);
  }
  at::Tensor gate, up;
  if (rule.activation == Activation::relu) {
    const at::Tensor& inner = expert.gate_up.defined() ? expert.gate_up : expert.gate;
    return at::matmul(at::relu(at::matmul(x, inner.t())), expert.down.t());
  }
  if (expert.gate_up.defined()) {
    at::Tensor both = at::matmul(x, expert.gate_up.t());
    if (expert.gate_up_bias.defined()) both = both + expert.gate_up_bias.to(both.scalar_type());
    const std::int64_t inner = both.size(1) / 2;
    gate = both.narrow(1, 0, inner);
    up = both.narrow(1, inner, inner);
  } else {
    gate = with_bias(at::matmul(x, expert.gate.t()), expert.gate_bias);
    up = with_bias(at::matmul(x, expert.up.t()), expert.up_bias);
  }
  return with_bias(at::matmul(activated(gate, up, rule), expert.down.t()), expert.down_bias);
}

at::Tensor expert_outputs(const at::Tensor& x, const Dispatch& dispatch, const Experts& experts, const ExpertRule& rule,
                          const at::Tensor& input_weights, const Interrupt& interrupt) {
  at::Tensor gathered = at::index_select(x, 0, dispatch.tokens);
  if (input_weights.defined()) {
    const at::Tensor factor = at::index_select(input_weights.reshape({-1}), 0, dispatch.slots).unsqueeze(1);
    gathered = gathered * factor.to(gathered.scalar_type());
  }
  if (at::Tensor all = grouped_outputs(gathered, dispatch, experts, rule); all.defined()) return all;
  if (kernels::inference_on_cpu(x)) {
    // One expert per thread: the products of one are too small to share.
    at::Tensor out = at::empty_like(gathered);
    kernels::parallel_tasks(static_cast<std::int64_t>(experts.count), [&](std::int64_t e) {
      const auto i = static_cast<std::size_t>(e);
      const std::int64_t rows = dispatch.begin[i + 1] - dispatch.begin[i];
      if (rows == 0) return;
      if (interrupt) interrupt();
      const ExpertWeights expert = experts.get(i);
      const at::Tensor entries = gathered.narrow(0, dispatch.begin[i], rows);
      at::Tensor place = out.narrow(0, dispatch.begin[i], rows);
      const at::Tensor inner = activated_on_cpu(gate_and_up(entries, expert), rule).to(x.scalar_type());
      if (kernels::thin(inner, expert.down)) {
        place.copy_(kernels::thin_product(inner, expert.down));
      } else {
        at::mm_out(place, inner, expert.down.t());
      }
      if (expert.down_bias.defined()) place.add_(expert.down_bias.to(place.scalar_type()));
    });
    return out;
  }
  std::vector<std::int64_t> sizes;
  for (std::size_t e = 0; e < experts.count; ++e) sizes.push_back(dispatch.begin[e + 1] - dispatch.begin[e]);
  // Split once: the gradient of a narrow per expert would be as large as the whole, for each expert.
  const std::vector<at::Tensor> inputs = at::split_with_sizes(gathered, sizes, 0);
  std::vector<at::Tensor> parts;
  for (std::size_t e = 0; e < experts.count; ++e) {
    if (sizes[e] == 0) continue;
    if (interrupt) interrupt();
    parts.push_back(expert_mlp(inputs[e], experts.get(e), rule));
  }
  return parts.empty() ? gathered : at::cat(parts, 0);
}

at::Tensor combine(const at::Tensor& outputs, const Dispatch& dispatch, const at::Tensor& weights) {
  if (kernels::usable(outputs)) return kernels::weighted_sum(outputs, dispatch.places, weights);
  const at::Tensor weight = at::index_select(weights.reshape({-1}), 0, dispatch.slots).unsqueeze(1);
  const at::Tensor zero = at::zeros({dispatch.token_count, outputs.size(1)}, outputs.options().dtype(at::kFloat));
  return at::index_add(zero, 0, dispatch.tokens, outputs.to(at::kFloat) * weight);
}

at::Tensor moe_block(const at::Tensor& x, const at::Tensor& ids, const at::Tensor& weights,
                     const std::vector<ExpertWeights>& experts, const Interrupt& interrupt) {
  const Dispatch dispatch = dispatch_by_expert(ids, static_cast<std::int64_t>(experts.size()));
  return combine(expert_outputs(x, dispatch, Experts(experts), {}, {}, interrupt), dispatch, weights);
}

}  // namespace moescope::blocks
