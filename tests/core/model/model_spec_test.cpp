#include "core/model/model_spec.h"

#include <gtest/gtest.h>

#include "core/model/weight_names.h"

namespace moescope::model_spec_test {
namespace {

TEST(ModelSpec, TensorNamesFillInLayerAndExpert) {
  EXPECT_EQ(tensor_name("model.layers.{L}.mlp.experts.{E}.up_proj.weight", 3, 12),
            "model.layers.3.mlp.experts.12.up_proj.weight");
  EXPECT_EQ(tensor_name("lm_head.weight", 3, 12), "lm_head.weight");
  EXPECT_EQ(tensor_name("odd {x} {", 1), "odd {x} {");
}

TEST(ModelSpec, RouterRulesReadAsWords) {
  RouterRule rule;
  EXPECT_EQ(router_rule_words(rule, 8), "softmax over all experts, then the best 8, weights not renormalised");
  rule.renormalise = true;
  rule.score = RouterRule::Score::sigmoid;
  rule.selection_bias = true;
  rule.scale = 2.5;
  EXPECT_EQ(router_rule_words(rule, 8),
            "sigmoid over all experts, then the best 8, chosen with a bias that does not enter the weights, weights "
            "divided by their sum, times 2.5");
}

TEST(ModelSpec, CountsOlmoeParametersAsPublished) {
  ModelSpec spec;  // OLMoE-1B-7B
  spec.vocabulary = 50304;
  spec.hidden = 2048;
  spec.heads = spec.kv_heads = 16;
  spec.head_dim = 128;
  spec.qk_norm = QkNorm::whole_width;
  spec.layers.assign(16, LayerSpec{.experts = 64, .k = 8, .intermediate = 1024});
  EXPECT_EQ(spec.parameters_total(), 6919161856ULL);
  EXPECT_NEAR(static_cast<double>(spec.parameters_active()), 1.28e9, 0.01e9);
}

}  // namespace
}  // namespace moescope::model_spec_test
