#include "plugins/torch_engine/blocks/router.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/engine/model_router.h"

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

namespace {

bool is_plain(const RouterRule& rule) {
  return rule.score != RouterRule::Score::sparsemixer && rule.groups <= 1 && !rule.selection_bias &&
         rule.norm_order == 1.0;
}

// Rules beyond the plain ones, row by row on the CPU, where the record wants the logits anyway.
Routing route_by_rows(const at::Tensor& logits, const RouterRule& rule, std::int64_t k, const at::Tensor& bias) {
  const at::Tensor rows = logits.detach().cpu().to(at::kFloat).contiguous();
  const at::Tensor chosen_by = bias.defined() ? bias.detach().cpu().to(at::kFloat).contiguous() : at::Tensor();
  const std::int64_t tokens = rows.size(0), experts = rows.size(1);
  const auto count = static_cast<std::size_t>(experts), slots = static_cast<std::size_t>(k);
  at::Tensor ids = at::empty({tokens, k}, rows.options().dtype(at::kInt));
  at::Tensor weights = at::empty({tokens, k}, rows.options()), margin = at::empty({tokens}, rows.options());
  const float* logit = rows.data_ptr<float>();
  auto* id = ids.data_ptr<std::int32_t>();
  auto *weight = weights.data_ptr<float>(), *gap = margin.data_ptr<float>();
  RuleRow row;
  if (chosen_by.defined()) row.selection_bias = std::span(chosen_by.data_ptr<float>(), count);
  at::parallel_for(0, tokens, 64, [&](std::int64_t begin, std::int64_t end) {
    RuleScratch scratch;
    RuleRow own = row;
    for (std::int64_t t = begin; t < end; ++t) {
      own.logits = std::span(logit + t * experts, count);
      gap[t] = choose_by_rule(rule, own, std::span(id + t * k, slots), std::span(weight + t * k, slots), scratch);
    }
  });
  Routing out;
  out.logits = logits;
  out.ids = ids.to(logits.device(), at::kLong);
  out.weights = weights.to(logits.device());
  if (k < experts) out.margin = margin.to(logits.device());
  return out;
}

}  // namespace

Routing route(const at::Tensor& logits, const RouterRule& rule, std::int64_t k, const at::Tensor& selection_bias) {
  if (!is_plain(rule)) return route_by_rows(logits, rule, k, selection_bias);
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
  if (rule.renormalise) out.weights = out.weights / (at::sum(out.weights, {-1}, true) + rule.norm_epsilon);
  if (rule.scale != 1.0) out.weights = out.weights * rule.scale;
  return out;
}

}  // namespace moescope::blocks
