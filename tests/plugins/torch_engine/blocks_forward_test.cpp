#include <gtest/gtest.h>

#include <cmath>

#include "plugins/torch_engine/blocks/layer.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "tests/plugins/torch_engine/blocks_test_tools.h"

namespace moescope::blocks::blocks_forward_test {
namespace {

using blocks_test::attention_of;
using blocks_test::difference;
using blocks_test::random;
using blocks_test::row;

TEST(Norm, ScalesRowsToUnitMeanSquareTimesWeight) {
  const at::Tensor y = rms_norm(row({3, 4}), at::tensor({1.0F, 2.0F}), 0.0);
  const float scale = 1.0F / std::sqrt(12.5F);
  EXPECT_LT(difference(y, row({3 * scale, 8 * scale})), 1e-6);
}

TEST(Rope, RotatesHalvesAgainstEachOther) {
  const RopeTables tables = rope_tables(at::tensor({1}, at::kLong), 4, 10000.0);
  const at::Tensor y = rope(row({1, 2, 3, 4}).unsqueeze(1), tables);
  const float c0 = 0.5403023F, s0 = 0.8414710F, c1 = 0.9999500F, s1 = 0.0099998F;
  EXPECT_LT(difference(y.squeeze(1), row({c0 - 3 * s0, 2 * c1 - 4 * s1, 3 * c0 + s0, 4 * c1 + 2 * s1})), 1e-6);
}

TEST(Rope, LeavesPositionZeroAlone) {
  const at::Tensor x = random({1, 2, 8}, 1);
  EXPECT_EQ(difference(rope(x, rope_tables(at::zeros({1}, at::kLong), 8, 10000.0)), x), 0.0);
}

TEST(Router, SoftmaxBeforeTopKKeepsProbabilities) {
  const at::Tensor logits = at::log(row({1, 2, 3, 4}));
  RouterRule rule;
  const Routing plain = route(logits, rule, 2);
  EXPECT_EQ(plain.ids[0][0].item<std::int64_t>(), 3);
  EXPECT_EQ(plain.ids[0][1].item<std::int64_t>(), 2);
  EXPECT_LT(difference(plain.weights, row({0.4F, 0.3F})), 1e-6);
  rule.renormalise = true;
  EXPECT_LT(difference(route(logits, rule, 2).weights, row({4.0F / 7, 3.0F / 7})), 1e-6);
  rule.renormalise = false;
  rule.order = RouterRule::Order::top_k_then_score;
  EXPECT_LT(difference(route(logits, rule, 2).weights, row({4.0F / 7, 3.0F / 7})), 1e-6);
}

TEST(Router, EqualScoresGoToTheLowestIds) {
  const at::Tensor ids = stable_top_k(at::zeros({3, 64}), 4);
  for (std::int64_t t = 0; t < 3; ++t) {
    for (std::int64_t j = 0; j < 4; ++j) EXPECT_EQ(ids[t][j].item<std::int64_t>(), j);
  }
  const at::Tensor some = stable_top_k(row({1, 5, 5, NAN, 7, 5}), 6);
  const std::vector<std::int64_t> expected{4, 1, 2, 5, 0, 3};
  for (std::int64_t j = 0; j < 6; ++j)
    EXPECT_EQ(some[0][j].item<std::int64_t>(), expected[static_cast<std::size_t>(j)]);
}

std::vector<ExpertWeights> some_experts(std::int64_t count, std::int64_t hidden, std::int64_t inner) {
  std::vector<ExpertWeights> experts;
  for (std::int64_t e = 0; e < count; ++e) {
    ExpertWeights expert;
    expert.gate_up = random({2 * inner, hidden}, static_cast<std::uint64_t>(100 + e));
    expert.down = random({hidden, inner}, static_cast<std::uint64_t>(200 + e));
    experts.push_back(expert);
  }
  return experts;
}

TEST(Moe, EqualsTheSumOverEachTokensExperts) {
  const std::vector<ExpertWeights> experts = some_experts(5, 8, 6);
  const at::Tensor x = random({7, 8}, 3);
  const Routing routing = route(random({7, 5}, 4, 2.0), RouterRule{}, 2);
  const at::Tensor y = moe_block(x, routing.ids, routing.weights, experts);
  for (std::int64_t t = 0; t < 7; ++t) {
    at::Tensor sum = at::zeros({1, 8});
    for (std::int64_t j = 0; j < 2; ++j) {
      const auto e = static_cast<std::size_t>(routing.ids[t][j].item<std::int64_t>());
      sum = sum + expert_mlp(x.narrow(0, t, 1), experts[e]) * routing.weights[t][j];
    }
    EXPECT_LT(difference(y.narrow(0, t, 1), sum), 1e-5) << "token " << t;
  }
}

TEST(Moe, UnfilledSlotsAddNothing) {
  const std::vector<ExpertWeights> experts = some_experts(3, 4, 4);
  const at::Tensor x = random({2, 4}, 5);
  const at::Tensor ids = at::tensor({-1, 1, -1, -1}, at::kLong).view({2, 2});
  const at::Tensor y = moe_block(x, ids, at::ones({2, 2}), experts);
  EXPECT_LT(difference(y[0].unsqueeze(0), expert_mlp(x.narrow(0, 0, 1), experts[1])), 1e-6);
  EXPECT_EQ(at::count_nonzero(y[1]).item<std::int64_t>(), 0);
}

AttentionWeights some_attention(std::int64_t hidden, const AttentionShape& shape) {
  const std::int64_t width = shape.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
  AttentionWeights w;
  w.q = random({width, hidden}, 11);
  w.k = random({kv, hidden}, 12);
  w.v = random({kv, hidden}, 13);
  w.o = random({hidden, width}, 14);
  w.q_norm = random({width}, 15) + 1;
  w.k_norm = random({kv}, 16) + 1;
  return w;
}

// Written from the definition, one query at a time.
at::Tensor plain_attention(const at::Tensor& x, const AttentionWeights& w, const AttentionShape& s, double theta) {
  const std::int64_t n = x.size(0);
  const RopeTables tables = rope_tables(at::arange(n, at::kLong), s.head_dim, theta);
  const at::Tensor q = rope(at::clamp(rms_norm(x.matmul(w.q.t()), w.q_norm, s.norm_epsilon), -*s.clip_qkv, *s.clip_qkv)
                                .view({n, s.heads, s.head_dim}),
                            tables);
  const at::Tensor k = rope(at::clamp(rms_norm(x.matmul(w.k.t()), w.k_norm, s.norm_epsilon), -*s.clip_qkv, *s.clip_qkv)
                                .view({n, s.kv_heads, s.head_dim}),
                            tables);
  const at::Tensor v = at::clamp(x.matmul(w.v.t()), -*s.clip_qkv, *s.clip_qkv).view({n, s.kv_heads, s.head_dim});
  at::Tensor out = at::zeros({n, s.heads, s.head_dim});
  for (std::int64_t t = 0; t < n; ++t) {
    for (std::int64_t a = 0; a < s.heads; ++a) {
      const std::int64_t b = a / (s.heads / s.kv_heads);
      const at::Tensor scores =
          k.select(1, b).narrow(0, 0, t + 1).matmul(q[t][a]) / std::sqrt(static_cast<double>(s.head_dim));
      out[t][a].copy_(at::softmax(scores, 0).matmul(v.select(1, b).narrow(0, 0, t + 1)));
    }
  }
  return out.view({n, s.heads * s.head_dim}).matmul(w.o.t());
}

TEST(Attention, EqualsTheDefinitionWithSharedKeyHeadsNormsAndClip) {
  const AttentionShape shape = attention_of(4, 2, 8, 1.1);
  const AttentionWeights w = some_attention(16, shape);
  const at::Tensor x = random({9, 16}, 17);
  const at::Tensor y = causal_attention(x, w, shape, rope_tables(at::arange(9, at::kLong), 8, 10000.0), {{9}});
  EXPECT_LT(difference(y, plain_attention(x, w, shape, 10000.0)), 1e-5);
}

TEST(Attention, LongSequencesInBlocksEqualTheDefinition) {
  const AttentionShape shape = attention_of(2, 2, 4, 2.0);
  const AttentionWeights w = some_attention(8, shape);
  const at::Tensor x = random({600, 8}, 18);
  const at::Tensor y = causal_attention(x, w, shape, rope_tables(at::arange(600, at::kLong), 4, 10000.0), {{600}});
  EXPECT_LT(difference(y, plain_attention(x, w, shape, 10000.0)), 1e-5);
}

TEST(Attention, PackedSequencesDoNotSeeEachOther) {
  const AttentionShape shape = attention_of(4, 4, 4, std::nullopt);
  const AttentionWeights w = some_attention(16, shape);
  const PackedSequences packed{{5, 3, 3, 7}};
  const at::Tensor x = random({18, 16}, 19);
  const at::Tensor all = causal_attention(x, w, shape, rope_tables(packed_positions(packed, at::kCPU), 4, 1e4), packed);
  std::int64_t first = 0;
  for (const std::int64_t length : packed.lengths) {
    const at::Tensor alone = causal_attention(x.narrow(0, first, length), w, shape,
                                              rope_tables(at::arange(length, at::kLong), 4, 1e4), {{length}});
    EXPECT_LT(difference(all.narrow(0, first, length), alone), 1e-6);
    first += length;
  }
}

TEST(Attention, FusedProjectionEqualsThree) {
  const AttentionShape shape = attention_of(4, 2, 4, std::nullopt);
  AttentionWeights w = some_attention(16, shape);
  const at::Tensor x = random({6, 16}, 20);
  const RopeTables tables = rope_tables(at::arange(6, at::kLong), 4, 1e4);
  const at::Tensor three = causal_attention(x, w, shape, tables, {{6}});
  w.qkv = at::cat({w.q, w.k, w.v}, 0);
  EXPECT_LT(difference(causal_attention(x, w, shape, tables, {{6}}), three), 1e-5);
}

}  // namespace
}  // namespace moescope::blocks::blocks_forward_test
