#include "plugins/torch_engine/blocks/moe.h"

#include <ATen/ATen.h>

#include "plugins/torch_engine/blocks/kernels.h"

namespace moescope::blocks {

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

at::Tensor expert_mlp(const at::Tensor& x, const ExpertWeights& expert) {
  at::Tensor gate, up;
  if (expert.gate_up.defined()) {
    const at::Tensor both = at::matmul(x, expert.gate_up.t());
    const std::int64_t inner = both.size(1) / 2;
    gate = both.narrow(1, 0, inner);
    up = both.narrow(1, inner, inner);
  } else {
    gate = at::matmul(x, expert.gate.t());
    up = at::matmul(x, expert.up.t());
  }
  return at::matmul(at::mul(at::silu(gate), up), expert.down.t());
}

at::Tensor expert_outputs(const at::Tensor& x, const Dispatch& dispatch, const std::vector<ExpertWeights>& experts,
                          const Interrupt& interrupt) {
  const at::Tensor gathered = at::index_select(x, 0, dispatch.tokens);
  if (kernels::inference_on_cpu(x)) {
    // One expert per thread: the products of one are too small to share.
    at::Tensor out = at::empty_like(gathered);
    kernels::parallel_tasks(static_cast<std::int64_t>(experts.size()), [&](std::int64_t e) {
      const auto i = static_cast<std::size_t>(e);
      const std::int64_t rows = dispatch.begin[i + 1] - dispatch.begin[i];
      if (rows == 0) return;
      if (interrupt) interrupt();
      const at::Tensor entries = gathered.narrow(0, dispatch.begin[i], rows);
      at::Tensor place = out.narrow(0, dispatch.begin[i], rows);
      if (experts[i].gate_up.defined()) {
        const at::Tensor both = at::mm(entries, experts[i].gate_up.t()).to(at::kFloat);
        at::mm_out(place, kernels::silu_product(both).to(x.scalar_type()), experts[i].down.t());
      } else {
        place.copy_(expert_mlp(entries, experts[i]));
      }
    });
    return out;
  }
  std::vector<std::int64_t> sizes;
  for (std::size_t e = 0; e < experts.size(); ++e) sizes.push_back(dispatch.begin[e + 1] - dispatch.begin[e]);
  // Split once: the gradient of a narrow per expert would be as large as the whole, for each expert.
  const std::vector<at::Tensor> inputs = at::split_with_sizes(gathered, sizes, 0);
  std::vector<at::Tensor> parts;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    if (sizes[e] == 0) continue;
    if (interrupt) interrupt();
    parts.push_back(expert_mlp(inputs[e], experts[e]));
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
  return combine(expert_outputs(x, dispatch, experts, interrupt), dispatch, weights);
}

}  // namespace moescope::blocks
