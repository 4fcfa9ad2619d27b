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
  out.ids = stable_top_k(before ? out.scores : logits, k);
  if (before) {
    out.weights = at::gather(out.scores, 1, out.ids);
  } else {
    const at::Tensor chosen = at::gather(logits, 1, out.ids);
    out.weights = rule.score == RouterRule::Score::softmax ? at::softmax(chosen, -1) : at::sigmoid(chosen);
  }
  if (rule.renormalise) out.weights = out.weights / at::sum(out.weights, {-1}, true);
  if (rule.scale != 1.0) out.weights = out.weights * rule.scale;
  return out;
}

}  // namespace moescope::blocks
