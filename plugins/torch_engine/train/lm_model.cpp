#include "plugins/torch_engine/train/lm_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <cmath>

namespace moescope::train {

std::vector<blocks::LayerShape> ModelShape::layer_shapes() const {
  blocks::LayerShape shape;
  shape.attention.heads = heads;
  shape.attention.kv_heads = heads;
  shape.attention.head_dim = hidden / heads;
  shape.attention.norm_epsilon = norm_epsilon;
  shape.norm_epsilon = norm_epsilon;
  shape.rule.renormalise = norm_topk_prob;
  shape.k = k;
  return {static_cast<std::size_t>(layers), shape};
}

std::vector<Parameter> parameters(const blocks::ModelWeights& weights) {
  std::vector<Parameter> all{{"model.embed_tokens.weight", weights.embedding, false},
                             {"model.norm.weight", weights.final_norm, false},
                             {"lm_head.weight", weights.lm_head, true}};
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const blocks::LayerWeights& l = weights.layers[i];
    const std::string at = fmt::format("model.layers.{}.", i);
    all.push_back({at + "input_layernorm.weight", l.input_norm, false});
    all.push_back({at + "post_attention_layernorm.weight", l.post_norm, false});
    all.push_back({at + "self_attn.q_norm.weight", l.attention.q_norm, false});
    all.push_back({at + "self_attn.k_norm.weight", l.attention.k_norm, false});
    all.push_back({at + "self_attn.q_proj.weight", l.attention.q, true});
    all.push_back({at + "self_attn.k_proj.weight", l.attention.k, true});
    all.push_back({at + "self_attn.v_proj.weight", l.attention.v, true});
    all.push_back({at + "self_attn.o_proj.weight", l.attention.o, true});
    all.push_back({at + "mlp.gate.weight", l.router, true});
    for (std::size_t e = 0; e < l.experts.size(); ++e) {
      const std::string expert = fmt::format("{}mlp.experts.{}.", at, e);
      all.push_back({expert + "gate_proj.weight", l.experts[e].gate, true});
      all.push_back({expert + "up_proj.weight", l.experts[e].up, true});
      all.push_back({expert + "down_proj.weight", l.experts[e].down, true});
    }
  }
  return all;
}

blocks::ModelWeights initial_weights(const ModelShape& s, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  const double wide = 0.02, narrow = wide / std::sqrt(2.0 * static_cast<double>(s.layers));
  const auto normal = [&](at::IntArrayRef shape, double deviation) {
    return at::empty(shape, at::kFloat).normal_(0.0, deviation, generator).requires_grad_();
  };
  const auto ones = [&] { return at::ones({s.hidden}, at::kFloat).requires_grad_(); };
  blocks::ModelWeights w;
  w.embedding = normal({s.vocabulary, s.hidden}, wide);
  w.final_norm = ones();
  w.lm_head = normal({s.vocabulary, s.hidden}, wide);
  for (std::int64_t i = 0; i < s.layers; ++i) {
    blocks::LayerWeights l;
    l.input_norm = ones();
    l.post_norm = ones();
    l.attention.q_norm = ones();
    l.attention.k_norm = ones();
    l.attention.q = normal({s.hidden, s.hidden}, wide);
    l.attention.k = normal({s.hidden, s.hidden}, wide);
    l.attention.v = normal({s.hidden, s.hidden}, wide);
    l.attention.o = normal({s.hidden, s.hidden}, narrow);
    l.router = normal({s.experts, s.hidden}, wide);
    for (std::int64_t e = 0; e < s.experts; ++e) {
      blocks::ExpertWeights expert;
      expert.gate = normal({s.intermediate, s.hidden}, wide);
      expert.up = normal({s.intermediate, s.hidden}, wide);
      expert.down = normal({s.hidden, s.intermediate}, narrow);
      l.experts.push_back(std::move(expert));
    }
    w.layers.push_back(std::move(l));
  }
  return w;
}

blocks::ModelOutput forward(const blocks::ModelWeights& weights, const ModelShape& shape, const at::Tensor& tokens) {
  blocks::PackedSequences sequences;
  sequences.lengths.assign(static_cast<std::size_t>(tokens.size(0)), tokens.size(1));
  return blocks::olmoe_forward(tokens.reshape({-1}), weights, shape.layer_shapes(), shape.rope_theta, sequences);
}

at::Tensor balance_loss(const std::vector<blocks::Routing>& routing) {
  at::Tensor sum = at::zeros({}, at::kFloat);
  for (const blocks::Routing& r : routing) {
    const std::int64_t experts = r.scores.size(1);
    const at::Tensor share =
        at::bincount(r.ids.reshape({-1}), {}, experts).to(at::kFloat) / static_cast<double>(r.ids.numel());
    sum = sum + (share * r.scores.mean(0)).sum() * static_cast<double>(experts);
  }
  return sum / static_cast<double>(routing.size());
}

at::Tensor router_z_loss(const std::vector<blocks::Routing>& routing) {
  at::Tensor sum = at::zeros({}, at::kFloat);
  for (const blocks::Routing& r : routing) sum = sum + at::logsumexp(r.logits, {-1}).pow(2).mean();
  return sum / static_cast<double>(routing.size());
}

}  // namespace moescope::train
