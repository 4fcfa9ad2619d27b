// The fused loops against the tensor operations they stand for.
#include "plugins/torch_engine/blocks/kernels.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "plugins/torch_engine/blocks/layer.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "tests/plugins/torch_engine/blocks_test_tools.h"

namespace moescope::blocks::blocks_kernels_test {
namespace {

using blocks_test::difference;
using blocks_test::random;

TEST(Kernels, NormEqualsTheTensorForm) {
  const at::Tensor x = random({37, 96}, 1).narrow(1, 8, 64), weight = random({64}, 2) + 1;
  EXPECT_LT(difference(kernels::rms_norm(x, weight, 1e-5), rms_norm(x, weight, 1e-5)), 1e-6);
}

TEST(Kernels, ThinProductsEqualTheTensorForm) {
  const c10::InferenceMode inference;
  // Rows and widths that fill no vector, weights that are a part of a larger matrix.
  for (const std::int64_t rows : {1, 3, 4}) {
    const at::Tensor x = random({rows, 75}, 5), weight = random({101, 90}, 6).narrow(1, 7, 75);
    ASSERT_TRUE(kernels::thin(x, weight));
    EXPECT_LT(difference(kernels::thin_product(x, weight), at::matmul(x, weight.t())), 1e-5);
    const at::Tensor half = x.to(at::kBFloat16), half_weight = weight.to(at::kBFloat16);
    ASSERT_TRUE(kernels::thin(half, half_weight));
    EXPECT_LT(difference(kernels::thin_product(half, half_weight),
                         at::matmul(half.to(at::kFloat), half_weight.to(at::kFloat).t())),
              1e-5);
  }
  EXPECT_FALSE(kernels::thin(random({5, 8}, 1), random({4, 8}, 2)));
  EXPECT_FALSE(kernels::thin(random({1, 8}, 1), random({8, 4}, 2).t()));
}

TEST(Kernels, SiluProductEqualsTheTensorForm) {
  const at::Tensor both = random({19, 70}, 3, 10.0);
  const at::Tensor expected = at::silu(both.narrow(1, 0, 35)) * both.narrow(1, 35, 35);
  EXPECT_LT(difference(kernels::silu_product(both), expected), 2e-5);
  const at::Tensor extreme = at::tensor({-1000.0F, -90.0F, 90.0F, 1000.0F, 1.0F, 1.0F, 1.0F, 1.0F}).unsqueeze(0);
  EXPECT_LT(difference(kernels::silu_product(extreme), at::silu(extreme.narrow(1, 0, 4))), 1e-4);
}

TEST(Kernels, CausalSoftmaxSeesNoLaterKey) {
  at::Tensor scores = random({5, 9}, 4, 20.0);
  const at::Tensor before = scores.clone();
  kernels::causal_softmax(
      scores, 0.5, std::nullopt, [](std::int64_t) { return 0; }, [](std::int64_t row) { return row + 5; });
  for (std::int64_t r = 0; r < 5; ++r) {
    const at::Tensor expected = at::softmax(before[r].narrow(0, 0, 5 + r) * 0.5, 0);
    EXPECT_LT(difference(scores[r].narrow(0, 0, 5 + r), expected), 1e-6);
    EXPECT_EQ(at::count_nonzero(scores[r].narrow(0, 5 + r, 4 - r)).item<std::int64_t>(), 0);
  }
}

TEST(Kernels, CrossEntropyEqualsLogSoftmax) {
  const at::Tensor logits = random({23, 501}, 5, 8.0);
  const at::Tensor targets = at::arange(23, at::kLong) * 21;
  const at::Tensor expected = -at::gather(at::log_softmax(logits, 1), 1, targets.unsqueeze(1)).squeeze(1);
  EXPECT_LT(difference(kernels::cross_entropy(logits, targets), expected), 1e-5);
}

TEST(Kernels, AWholeLayerEqualsTheDifferentiableForm) {
  const std::int64_t hidden = 32, inner = 24, experts = 6;
  LayerShape shape;
  shape.attention.heads = 4;
  shape.attention.kv_heads = 2;
  shape.attention.head_dim = 8;
  shape.attention.clip_qkv = 1.5;
  shape.k = 2;
  LayerWeights w;
  std::uint64_t seed = 20;
  const auto make = [&](std::initializer_list<std::int64_t> size) { return random(size, seed++, 0.3); };
  w.input_norm = make({hidden}) + 1;
  w.post_norm = make({hidden}) + 1;
  w.attention.q = make({32, hidden});
  w.attention.k = make({16, hidden});
  w.attention.v = make({16, hidden});
  w.attention.o = make({hidden, 32});
  w.attention.q_norm = make({32}) + 1;
  w.attention.k_norm = make({16}) + 1;
  w.router = make({experts, hidden});
  for (int e = 0; e < experts; ++e) {
    ExpertWeights expert;
    expert.gate_up = make({2 * inner, hidden});
    expert.down = make({hidden, inner});
    w.experts.push_back(expert);
  }
  const PackedSequences packed{{300, 7, 7, 1, 64}};
  const at::Tensor x = random({379, hidden}, 10, 1.0);
  const RopeTables tables = rope_tables(packed_positions(packed, at::kCPU), 8, 1e4);
  const LayerOutput exact = olmoe_layer(x, w, shape, tables, packed);
  const c10::InferenceMode inference;
  const LayerOutput fast = olmoe_layer(x, w, shape, tables, packed);
  EXPECT_LT(difference(fast.hidden, exact.hidden), 2e-5);
  EXPECT_TRUE(at::equal(fast.routing.ids, exact.routing.ids));
}

TEST(Kernels, WhatATaskThrowsArrives) {
  std::atomic<int> ran = 0;
  EXPECT_THROW(kernels::parallel_tasks(64,
                                       [&](std::int64_t i) {
                                         ++ran;
                                         if (i == 3) throw std::runtime_error("stop");
                                       }),
               std::runtime_error);
  EXPECT_GE(ran.load(), 4);
}

}  // namespace
}  // namespace moescope::blocks::blocks_kernels_test
