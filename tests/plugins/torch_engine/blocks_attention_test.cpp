// Every kind of attention against its definition written out token by token, with the fused loops and with tensor
// operations.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plugins/torch_engine/blocks/attention.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "tests/plugins/torch_engine/blocks_test_tools.h"

namespace moescope::blocks::blocks_attention_test {
namespace {

using blocks_test::attention_of;
using blocks_test::difference;
using blocks_test::random;

constexpr std::int64_t hidden = 12;

RopeSpec rope_of(std::uint32_t dims, bool interleaved = false) {
  RopeSpec spec;
  spec.dims = dims;
  spec.interleaved = interleaved;
  spec.theta = 100.0;
  return spec;
}

// One head [D] at a position, rotated from number `first` on by its definition.
at::Tensor turned(const at::Tensor& head, const RopeSpec& spec, std::int64_t position, std::int64_t first) {
  at::Tensor out = head.clone();
  const std::int64_t half = spec.dims / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double angle =
        static_cast<double>(position) * std::pow(spec.theta, -2.0 * static_cast<double>(i) / spec.dims);
    const std::int64_t a = first + (spec.interleaved ? 2 * i : i),
                       b = first + (spec.interleaved ? 2 * i + 1 : i + half);
    out[a] = head[a] * std::cos(angle) - head[b] * std::sin(angle);
    out[b] = head[b] * std::cos(angle) + head[a] * std::sin(angle);
  }
  return out;
}

bool sees(const AttentionShape& shape, std::int64_t query, std::int64_t key) {
  if (key > query) return false;
  if (shape.window > 0 && key <= query - shape.window) return false;
  return shape.chunk == 0 || key / shape.chunk == query / shape.chunk;
}

// Softmax and mix of q, k [n, heads, D] and v [n, heads, value], then o.
at::Tensor mixed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionWeights& w,
                 const AttentionShape& shape) {
  const std::int64_t n = q.size(0);
  const double scale = shape.scale > 0 ? shape.scale : 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  at::Tensor out = at::zeros({n, shape.heads, v.size(2)});
  for (std::int64_t a = 0; a < shape.heads; ++a) {
    const std::int64_t b = a / (shape.heads / k.size(1));
    for (std::int64_t t = 0; t < n; ++t) {
      double total = w.sinks.defined() ? std::exp(w.sinks[a].item<double>()) : 0.0;
      std::vector<double> part(static_cast<std::size_t>(t) + 1, 0.0);
      for (std::int64_t j = 0; j <= t; ++j) {
        if (!sees(shape, t, j)) continue;
        part[static_cast<std::size_t>(j)] = std::exp(at::dot(q[t][a], k[j][b]).item<double>() * scale);
        total += part[static_cast<std::size_t>(j)];
      }
      for (std::int64_t j = 0; j <= t; ++j) out[t][a] += v[j][b] * (part[static_cast<std::size_t>(j)] / total);
    }
  }
  const at::Tensor y = out.reshape({n, -1}).matmul(w.o.t());
  return w.o_bias.defined() ? y + w.o_bias : y;
}

at::Tensor with_bias(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor y = x.matmul(weight.t());
  return bias.defined() ? y + bias : y;
}

at::Tensor ready(const at::Tensor& projection, const at::Tensor& norm, const AttentionShape& shape,
                 const RopeSpec& spec, std::int64_t heads) {
  at::Tensor x = projection;
  if (shape.qk_norm == QkNorm::whole_width) x = rms_norm(x, norm, shape.norm_epsilon);
  if (shape.clip_qkv) x = at::clamp(x, -*shape.clip_qkv, *shape.clip_qkv);
  x = x.reshape({x.size(0), heads, -1}).clone();
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      at::Tensor head = x[t][h].clone();
      if (shape.qk_norm == QkNorm::per_head) head = rms_norm(head.unsqueeze(0), norm, shape.norm_epsilon)[0];
      if (shape.rotate) head = turned(head, spec, t, 0);
      if (shape.rotate && shape.qk_norm == QkNorm::per_head_after_rotation) {
        head = head / at::sqrt(at::mean(head * head) + shape.norm_epsilon);
      }
      x[t][h] = head;
    }
  }
  return x;
}

at::Tensor by_definition(const at::Tensor& x, const AttentionWeights& w, const AttentionShape& shape,
                         const RopeSpec& spec) {
  at::Tensor q = ready(with_bias(x, w.q, w.q_bias), w.q_norm, shape, spec, shape.heads);
  const at::Tensor k = ready(with_bias(x, w.k, w.k_bias), w.k_norm, shape, spec, shape.kv_heads);
  at::Tensor v = with_bias(x, w.v, w.v_bias).reshape({x.size(0), shape.kv_heads, -1});
  if (shape.clip_qkv) v = at::clamp(v, -*shape.clip_qkv, *shape.clip_qkv);
  if (shape.temperature_floor > 0) {
    for (std::int64_t t = 0; t < x.size(0); ++t) {
      const double steps = std::floor(static_cast<double>(t + 1) / shape.temperature_floor);
      q[t] *= std::log(1.0 + steps) * shape.temperature_scale + 1.0;
    }
  }
  return mixed(q, k, v, w, shape);
}

AttentionWeights weights_of(const AttentionShape& shape, bool biases = false) {
  const std::int64_t q = shape.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
  AttentionWeights w;
  w.q = random({q, hidden}, 1, 0.5);
  w.k = random({kv, hidden}, 2, 0.5);
  w.v = random({kv, hidden}, 3, 0.5);
  w.o = random({hidden, q}, 4, 0.5);
  if (shape.qk_norm == QkNorm::whole_width || shape.qk_norm == QkNorm::per_head) {
    const bool whole = shape.qk_norm == QkNorm::whole_width;
    w.q_norm = random({whole ? q : shape.head_dim}, 5, 0.3) + 1;
    w.k_norm = random({whole ? kv : shape.head_dim}, 6, 0.3) + 1;
  }
  if (!biases) return w;
  w.q_bias = random({q}, 7, 0.5);
  w.k_bias = random({kv}, 8, 0.5);
  w.v_bias = random({kv}, 9, 0.5);
  w.o_bias = random({hidden}, 10, 0.5);
  return w;
}

// Both ways of computing give the definition's values, each sequence by itself.
void expect_definition(const AttentionWeights& w, const AttentionShape& shape, const RopeSpec& spec) {
  const PackedSequences packed{{9, 4, 9}};
  const at::Tensor x = random({22, hidden}, 11);
  const RopeTables tables = rope_tables(spec, 64, packed.lengths, at::kCPU);
  std::vector<at::Tensor> parts;
  std::int64_t first = 0;
  for (const std::int64_t length : packed.lengths) {
    parts.push_back(by_definition(x.narrow(0, first, length), w, shape, spec));
    first += length;
  }
  const at::Tensor expected = at::cat(parts, 0);
  EXPECT_LT(difference(causal_attention(x, w, shape, tables, packed), expected), 2e-5) << "tensor operations";
  const c10::InferenceMode inference;
  EXPECT_LT(difference(causal_attention(x, w, shape, tables, packed), expected), 2e-5) << "fused loops";
}

AttentionShape plain() {
  AttentionShape shape = attention_of(4, 2, 6);
  shape.qk_norm = QkNorm::none;
  return shape;
}

TEST(AttentionKinds, BiasesAndAScaleOfItsOwn) {
  AttentionShape shape = plain();
  shape.scale = 0.11;
  expect_definition(weights_of(shape, true), shape, rope_of(6));
}

TEST(AttentionKinds, AWindowHoldsTheTokenItself) {
  AttentionShape shape = plain();
  for (const std::int64_t window : {1, 3, 100}) {
    shape.window = window;
    expect_definition(weights_of(shape), shape, rope_of(6));
  }
}

TEST(AttentionKinds, ChunksDoNotSeeEachOther) {
  AttentionShape shape = plain();
  shape.chunk = 4;
  expect_definition(weights_of(shape), shape, rope_of(6));
}

TEST(AttentionKinds, ASinkTakesAShareAndGivesNothing) {
  AttentionShape shape = plain();
  shape.window = 4;
  AttentionWeights w = weights_of(shape, true);
  w.sinks = random({4}, 12, 2.0);
  expect_definition(w, shape, rope_of(6));
}

TEST(AttentionKinds, ASinkOfLogTwoLeavesAQuarterToEachOfTwoEqualKeys) {
  AttentionShape shape = attention_of(1, 1, 2);
  shape.qk_norm = QkNorm::none;
  shape.rotate = false;
  AttentionWeights w;
  w.q = w.k = at::zeros({2, 2});
  w.v = w.o = at::eye(2);
  w.sinks = at::tensor({std::log(2.0F)});
  const at::Tensor x = at::tensor({1.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  const at::Tensor y = causal_attention(x, w, shape, {}, {{2}});
  EXPECT_NEAR(y[1][0].item<float>(), 0.25, 1e-6);
  EXPECT_NEAR(y[1][1].item<float>(), 0.25, 1e-6);
}

TEST(AttentionKinds, NormsPerHeadBeforeRotation) {
  AttentionShape shape = plain();
  shape.qk_norm = QkNorm::per_head;
  expect_definition(weights_of(shape, true), shape, rope_of(6));
}

TEST(AttentionKinds, NormsPerHeadAfterRotationOnlyWhereHeadsRotate) {
  AttentionShape shape = plain();
  shape.qk_norm = QkNorm::per_head_after_rotation;
  expect_definition(weights_of(shape), shape, rope_of(6, true));
  shape.rotate = false;
  expect_definition(weights_of(shape), shape, rope_of(6, true));
}

TEST(AttentionKinds, PartOfAHeadRotates) {
  const AttentionShape shape = plain();
  expect_definition(weights_of(shape), shape, rope_of(4));
  expect_definition(weights_of(shape), shape, rope_of(4, true));
}

TEST(AttentionKinds, WholeWidthNormsAndClip) {
  AttentionShape shape = attention_of(4, 2, 6, 0.7);
  expect_definition(weights_of(shape), shape, rope_of(6));
}

TEST(AttentionKinds, TemperatureGrowsWithThePositionWhereNothingRotates) {
  AttentionShape shape = plain();
  shape.rotate = false;
  shape.temperature_floor = 3;
  shape.temperature_scale = 0.4;
  expect_definition(weights_of(shape), shape, rope_of(6));
}

// Latent attention written out: down, norm, up, one rotated key part for all heads.
TEST(AttentionKinds, LatentAttentionWithAndWithoutALatentForQueries) {
  for (const std::uint32_t rank : {0U, 5U}) {
    for (const bool interleaved : {true, false}) {
      AttentionShape shape = plain();
      shape.kv_heads = shape.heads = 3;
      shape.latent = {.q_rank = rank, .kv_rank = 7, .nope_dim = 6, .rope_dim = 4, .value_dim = 5};
      shape.head_dim = 10;
      shape.scale = 0.21;
      const RopeSpec spec = rope_of(4, interleaved);
      AttentionWeights w;
      w.q = rank == 0 ? random({30, hidden}, 21, 0.5) : at::Tensor();
      if (rank > 0) {
        w.q_a = random({5, hidden}, 22, 0.5);
        w.q_a_norm = random({5}, 23, 0.3) + 1;
        w.q_b = random({30, 5}, 24, 0.5);
      }
      w.kv_a = random({11, hidden}, 25, 0.5);
      w.kv_a_norm = random({7}, 26, 0.3) + 1;
      w.kv_b = random({3 * 11, 7}, 27, 0.5);
      w.o = random({hidden, 15}, 28, 0.5);
      const at::Tensor x = random({9, hidden}, 29);
      const at::Tensor flat =
          rank == 0 ? x.matmul(w.q.t()) : rms_norm(x.matmul(w.q_a.t()), w.q_a_norm, 1e-6).matmul(w.q_b.t());
      at::Tensor q = flat.reshape({9, 3, 10}).clone(), k = at::zeros({9, 3, 10}), v = at::zeros({9, 3, 5});
      const at::Tensor c = x.matmul(w.kv_a.t());
      const at::Tensor up =
          rms_norm(c.narrow(1, 0, 7).contiguous(), w.kv_a_norm, 1e-6).matmul(w.kv_b.t()).view({9, 3, 11});
      for (std::int64_t t = 0; t < 9; ++t) {
        const at::Tensor position = turned(c[t].narrow(0, 7, 4), spec, t, 0);
        for (std::int64_t h = 0; h < 3; ++h) {
          q[t][h] = turned(q[t][h], spec, t, 6);
          k[t][h] = at::cat({up[t][h].narrow(0, 0, 6), position}, 0);
          v[t][h] = up[t][h].narrow(0, 6, 5);
        }
      }
      const at::Tensor expected = mixed(q, k, v, w, shape);
      const RopeTables tables = rope_tables(spec, 64, {9}, at::kCPU);
      EXPECT_LT(difference(causal_attention(x, w, shape, tables, {{9}}), expected), 2e-5);
      const c10::InferenceMode inference;
      EXPECT_LT(difference(causal_attention(x, w, shape, tables, {{9}}), expected), 2e-5);
    }
  }
}

TEST(AttentionKinds, RotationOfOneHeadIsTheWorkedExample) {
  const at::Tensor x = at::tensor({0.0F, 0.0F, 0.0F, 0.0F, 1.0F, 2.0F, 3.0F, 4.0F}).view({2, 1, 4});
  RopeSpec spec = rope_of(4);
  spec.theta = 10000.0;
  const at::Tensor y = rope(x, rope_tables(spec, 64, {2}, at::kCPU))[1][0];
  const float c0 = 0.5403023F, s0 = 0.8414710F, c1 = 0.9999500F, s1 = 0.0099998F;
  EXPECT_NEAR(y[0].item<float>(), c0 - 3 * s0, 1e-6);
  EXPECT_NEAR(y[1].item<float>(), 2 * c1 - 4 * s1, 1e-6);
  EXPECT_NEAR(y[2].item<float>(), 3 * c0 + s0, 1e-6);
  EXPECT_NEAR(y[3].item<float>(), 4 * c1 + 2 * s1, 1e-6);
}

}  // namespace
}  // namespace moescope::blocks::blocks_attention_test
