#include "core/trace/import/model_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moescope::model_facts_test {
namespace {

using ::testing::HasSubstr;

ModelFacts facts(std::string_view json) {
  auto parsed = parse_model_facts(json, "config.json");
  EXPECT_TRUE(parsed) << parsed.error().text();
  return parsed.value_or(ModelFacts{});
}

TEST(ModelFacts, UsualKeysOfManyFamilies) {
  const ModelFacts mixtral =
      facts(R"({"model_type":"mixtral","num_hidden_layers":32,"num_local_experts":8,"num_experts_per_tok":2})");
  EXPECT_EQ(mixtral.moe_layers(), 32U);
  EXPECT_EQ(mixtral.experts, 8U);
  EXPECT_EQ(mixtral.k, 2U);
  const ModelFacts deepseek = facts(
      R"({"model_type":"deepseek_v3","num_hidden_layers":61,"n_routed_experts":256,"n_shared_experts":1,"num_experts_per_tok":8,
          "first_k_dense_replace":3,"moe_layer_freq":1,"n_group":8,"topk_group":4,"topk_method":"noaux_tc","scoring_func":"sigmoid"})");
  EXPECT_EQ(deepseek.moe_layers(), 58U);
  EXPECT_FALSE(deepseek.moe[2]);
  EXPECT_TRUE(deepseek.moe[3]);
  EXPECT_EQ(deepseek.shared, 1U);
  EXPECT_TRUE(deepseek.selection_bias);
  EXPECT_TRUE(deepseek.grouped);
  const ModelFacts qwen = facts(
      R"({"model_type":"qwen2_moe","num_hidden_layers":4,"num_experts":60,"num_experts_per_tok":4,"decoder_sparse_step":2,"mlp_only_layers":[3]})");
  EXPECT_EQ(qwen.moe, (std::vector<bool>{false, true, false, false}));
  const ModelFacts inner = facts(
      R"({"model_type":"vision","text_config":{"num_hidden_layers":2,"num_experts":4,"num_experts_per_tok":1,"interleave_moe_layer_step":2}})");
  EXPECT_EQ(inner.moe, (std::vector<bool>{false, true}));
}

TEST(ModelFacts, DenseModelsAndBadNumbersAreRefused) {
  EXPECT_THAT(parse_model_facts(R"({"num_hidden_layers":4})", "c").error().what, HasSubstr("no experts"));
  EXPECT_THAT(parse_model_facts(R"({"num_hidden_layers":4,"num_experts":-3})", "c").error().what,
              HasSubstr("num_experts"));
  EXPECT_FALSE(parse_model_facts("[1]", "c"));
  EXPECT_FALSE(parse_model_facts("{", "c"));
}

}  // namespace
}  // namespace moescope::model_facts_test
