#include <gtest/gtest.h>

#include "plugins/torch_engine/blocks/layer.h"
#include "tests/plugins/torch_engine/blocks_test_tools.h"

namespace moescope::blocks::blocks_gradient_test {
namespace {

using blocks_test::random;

struct TinyModel {
  ModelWeights weights;
  std::vector<LayerShape> shapes;
  std::vector<at::Tensor*> parameters;
};

void build(TinyModel& m) {
  const std::int64_t hidden = 8, inner = 6, experts = 4, vocabulary = 11;
  LayerShape shape;
  shape.attention.heads = shape.attention.kv_heads = 2;
  shape.attention.head_dim = 4;
  shape.k = 2;
  m.shapes = {shape, shape};
  std::uint64_t seed = 1;
  const auto make = [&](std::initializer_list<std::int64_t> size) { return random(size, seed++, 0.4); };
  m.weights.embedding = make({vocabulary, hidden});
  m.weights.final_norm = make({hidden}) + 1;
  m.weights.lm_head = make({vocabulary, hidden});
  for (int l = 0; l < 2; ++l) {
    LayerWeights w;
    w.input_norm = make({hidden}) + 1;
    w.post_norm = make({hidden}) + 1;
    for (at::Tensor* weight : {&w.attention.q, &w.attention.k, &w.attention.v, &w.attention.o}) {
      *weight = make({hidden, hidden});
    }
    for (at::Tensor* norm : {&w.attention.q_norm, &w.attention.k_norm}) *norm = make({hidden}) + 1;
    w.router = make({experts, hidden});
    for (int e = 0; e < experts; ++e) {
      ExpertWeights expert;
      expert.gate_up = make({2 * inner, hidden});
      expert.down = make({hidden, inner});
      w.experts.push_back(expert);
    }
    m.weights.layers.push_back(w);
  }
  m.parameters = {&m.weights.embedding, &m.weights.final_norm, &m.weights.lm_head};
  for (LayerWeights& w : m.weights.layers) {
    m.parameters.insert(m.parameters.end(),
                        {&w.input_norm, &w.post_norm, &w.attention.q, &w.attention.k, &w.attention.v, &w.attention.o,
                         &w.attention.q_norm, &w.attention.k_norm, &w.router});
    for (ExpertWeights& e : w.experts) m.parameters.insert(m.parameters.end(), {&e.gate_up, &e.down});
  }
}

at::Tensor loss_of(const TinyModel& m, const at::Tensor& ids) {
  const ModelOutput out = olmoe_forward(ids, m.weights, m.shapes, 1e4, {{4, 4}});
  const at::Tensor log_p = at::log_softmax(out.logits.to(at::kDouble), -1);
  return -at::mean(at::gather(log_p, 1, ids.unsqueeze(1)));
}

at::Tensor random_like(const at::Tensor& like, std::uint64_t seed) {
  return random({like.numel()}, seed, 1.0).view(like.sizes());
}

// The slope along a random direction of each parameter against central differences. Routing must not flip for the step.
TEST(Gradients, EveryParameterOfTheForwardPassAgreesWithDifferences) {
  TinyModel m;
  build(m);
  for (at::Tensor* p : m.parameters) p->set_requires_grad(true);
  const at::Tensor ids = at::tensor({1, 5, 3, 10, 0, 7, 7, 2}, at::kLong);
  loss_of(m, ids).backward();
  for (std::size_t i = 0; i < m.parameters.size(); ++i) {
    at::Tensor& p = *m.parameters[i];
    const at::Tensor direction = random_like(p, 1000 + i);
    // An expert that no token chose has no gradient at all.
    const double slope = p.grad().defined() ? at::sum(p.grad() * direction).item<double>() : 0.0;
    const at::Tensor original = p.detach();
    const double step = 1e-3 / at::norm(direction).item<double>();
    p = original + direction * step;
    const double above = loss_of(m, ids).item<double>();
    p = original - direction * step;
    const double below = loss_of(m, ids).item<double>();
    p = original;
    EXPECT_NEAR(slope * step, (above - below) / 2, 2e-6 + 0.05 * std::abs(slope * step)) << "parameter " << i;
  }
}

}  // namespace
}  // namespace moescope::blocks::blocks_gradient_test
