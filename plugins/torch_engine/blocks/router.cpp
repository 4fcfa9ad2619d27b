#include "plugins/torch_engine/blocks/router.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/engine/routers.h"

namespace moescope::blocks {

at::Tensor router_logits(const at::Tensor& x, const at::Tensor& weight) {
  return at::matmul(x.to(at::kFloat), weight.to(at::kFloat).t());
}

at::Tensor stable_top_k(const at::Tensor& scores, std::int64_t k) {
  const at::Tensor plain = scores.detach();
  if (!plain.is_cpu()) return std::get<1>(at::sort(plain, /*stable=*/true, -1, /*descending=*/true)).narrow(1, 0, k);
  const at::Tensor rows = plain.to(at::kFloat).contiguous();
  const std::int64_t tokens = rows.size(0), experts = rows.size(1);
  at::Tensor ids = at::empty({tokens, k}, rows.options().dtype(at::kLong));
  const float* score = rows.data_ptr<float>();
  auto* id = ids.data_ptr<std::int64_t>();
  at::parallel_for(0, tokens, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      top_k_ids(std::span(score + t * experts, static_cast<std::size_t>(experts)),
                std::span(id + t * k, static_cast<std::size_t>(k)));
    }
  });
  return ids;
}

Routing route(const at::Tensor& logits, const RouterRule& rule, std::int64_t k) {
  Routing out;
  out.logits = logits;
  out.scores = rule.score == RouterRule::Score::softmax ? at::softmax(logits, -1) : at::sigmoid(logits);
  const bool before = rule.order == RouterRule::Order::score_then_top_k;
  const at::Tensor& ranked = before ? out.scores : logits;
  // One rank more than asked for tells by how much the last chosen expert won.
  const bool has_next = k < logits.size(1);
  const at::Tensor ids = stable_top_k(ranked, has_next ? k + 1 : k);
  const at::Tensor values = at::gather(ranked, 1, ids);
  out.ids = ids.narrow(1, 0, k);
  const at::Tensor chosen = values.narrow(1, 0, k);
  if (has_next) out.margin = at::sub(values.select(1, k - 1), values.select(1, k)).detach();
  if (before) {
    out.weights = chosen;
  } else {
    out.weights = rule.score == RouterRule::Score::softmax ? at::softmax(chosen, -1) : at::sigmoid(chosen);
  }
  if (rule.renormalise) out.weights = out.weights / at::sum(out.weights, {-1}, true);
  if (rule.scale != 1.0) out.weights = out.weights * rule.scale;
  return out;
}

}  // namespace moescope::blocks
