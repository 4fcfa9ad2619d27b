#include "plugins/torch_engine/blocks/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "plugins/torch_engine/blocks/projection.h"

namespace moescope::blocks {
namespace {

// Largest block of scores held at once, in elements; bounds memory and the time between two looks at `interrupt`.
constexpr std::int64_t score_budget = 4 << 20;
constexpr std::int64_t query_block = 256;
constexpr double latent_norm_epsilon = 1e-6;  // of the inner norms, whatever the config says

double score_scale(const AttentionShape& shape) {
  return shape.scale > 0.0 ? shape.scale : 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
}

// The first key that the token at `position` sees.
std::int64_t first_key(const AttentionShape& shape, std::int64_t position) {
  std::int64_t first = 0;
  if (shape.window > 0) first = std::max<std::int64_t>(first, position - shape.window + 1);
  if (shape.chunk > 0) first = std::max(first, position / shape.chunk * shape.chunk);
  return first;
}

// 0 where query row r of a block from `begin` sees key column c (keys from `first` on), else −infinity.
at::Tensor mask(const AttentionShape& shape, std::int64_t begin, std::int64_t rows, std::int64_t first,
                std::int64_t keys, const at::TensorOptions& options) {
  const at::TensorOptions whole = options.dtype(at::kLong).requires_grad(false);
  const at::Tensor query = at::arange(begin, begin + rows, whole).unsqueeze(1);
  const at::Tensor key = at::arange(first, first + keys, whole).unsqueeze(0);
  at::Tensor hidden = key.gt(query);
  if (shape.window > 0) hidden = hidden.logical_or(key.le(query - shape.window));
  if (shape.chunk > 0) {
    hidden = hidden.logical_or(at::div(key, shape.chunk, "floor").ne(at::div(query, shape.chunk, "floor")));
  }
  return at::zeros({rows, keys}, options.requires_grad(false))
      .masked_fill(hidden, -std::numeric_limits<float>::infinity());
}

// q, k [batch, heads, length, D], v [batch, heads, length, value] with equal head counts → [batch, heads, length,
// value].
// Queries stand at the end: the first one is at position keys − queries.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionShape& shape,
                  const at::Tensor& sinks, const Interrupt& interrupt) {
  const std::int64_t length = q.size(2), offset = k.size(2) - length;
  const double scale = score_scale(shape);
  std::vector<at::Tensor> blocks;
  for (std::int64_t begin = 0; begin < length; begin += query_block) {
    if (interrupt) interrupt();
    const std::int64_t rows = std::min(query_block, length - begin);
    const std::int64_t first = first_key(shape, offset + begin), keys = offset + begin + rows - first;
    at::Tensor scores = at::matmul(q.narrow(2, begin, rows), k.narrow(2, first, keys).transpose(2, 3)) * scale;
    scores = scores + mask(shape, offset + begin, rows, first, keys, scores.options());
    if (sinks.defined()) {
      // One more column that takes a share and has no value.
      const at::Tensor column =
          sinks.to(scores.scalar_type()).view({1, -1, 1, 1}).expand({scores.size(0), -1, rows, 1});
      scores = at::cat({scores, column}, -1);
    }
    const at::Tensor probabilities = at::softmax(scores, -1).narrow(-1, 0, keys);
    blocks.push_back(at::matmul(probabilities, v.narrow(2, first, keys)));
  }
  return blocks.size() == 1 ? blocks.front() : at::cat(blocks, 2);
}

// [batch·length, heads, D] → [batch, heads, length, D], key heads repeated for their query heads.
at::Tensor by_head(const at::Tensor& packed, std::int64_t batch, std::int64_t length, std::int64_t repeat) {
  const at::Tensor split = packed.view({batch, length, packed.size(1), packed.size(2)}).transpose(1, 2);
  return (repeat == 1 ? split : at::repeat_interleave(split, repeat, 1)).contiguous();
}

// Queries, keys and values of all heads, float32: [tokens, heads · D], [tokens, kv_heads · D], [tokens, kv_heads ·
// value].
struct Heads {
  at::Tensor q, k, v;
};

// Attention without gradients on the CPU: one task per sequence and head, which no thread has to share. More keys than
// queries: one sequence, whose queries stand at its end.
at::Tensor attend_heads(const Heads& in, const AttentionShape& shape, const at::Tensor& sinks,
                        const PackedSequences& sequences, const Interrupt& interrupt) {
  const double scale = score_scale(shape);
  const std::int64_t dim = shape.head_dim, value = shape.value_dim(), offset = in.k.size(0) - in.q.size(0);
  std::vector<std::int64_t> first{0};
  for (const std::int64_t length : sequences.lengths) first.push_back(first.back() + length);
  at::Tensor out = at::empty({in.q.size(0), shape.heads * value}, in.q.options());
  const auto count = static_cast<std::int64_t>(sequences.lengths.size()) * shape.heads;
  kernels::parallel_tasks(count, [&](std::int64_t task) {
    const std::int64_t head = task % shape.heads, from = first[static_cast<std::size_t>(task / shape.heads)];
    const std::int64_t length = first[static_cast<std::size_t>(task / shape.heads) + 1] - from;
    const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
    const auto part = [&](const at::Tensor& all, std::int64_t rows, std::int64_t h, std::int64_t width) {
      return all.narrow(0, from, rows).narrow(1, h * width, width);
    };
    const at::Tensor query = part(in.q, length, head, dim), keys = part(in.k, offset + length, kv_head, dim);
    const at::Tensor values = part(in.v, offset + length, kv_head, value);
    at::Tensor mixed = part(out, length, head, value);
    std::optional<float> sink;
    if (sinks.defined()) sink = sinks.data_ptr<float>()[head];
    for (std::int64_t begin = 0; begin < length; begin += query_block) {
      if (interrupt) interrupt();
      const std::int64_t rows = std::min(query_block, length - begin), at = offset + begin;
      const std::int64_t low = first_key(shape, at), seen = at + rows - low;
      at::Tensor scores = at::mm(query.narrow(0, begin, rows), keys.narrow(0, low, seen).t());
      kernels::causal_softmax(
          scores, scale, sink, [&](std::int64_t row) { return first_key(shape, at + row) - low; },
          [&](std::int64_t row) { return at + row + 1 - low; });
      at::Tensor place = mixed.narrow(0, begin, rows);
      at::mm_out(place, scores, values.narrow(0, low, seen));
    }
  });
  return out;
}

// The same with tensor operations, which have gradients and run on any device.
at::Tensor attend_packed(const Heads& in, const AttentionShape& shape, const at::Tensor& sinks,
                         const PackedSequences& sequences, const Interrupt& interrupt) {
  const std::int64_t value = shape.value_dim(), repeat = shape.heads / shape.kv_heads;
  const at::Tensor q = in.q.reshape({in.q.size(0), shape.heads, shape.head_dim});
  const at::Tensor k = in.k.reshape({in.k.size(0), shape.kv_heads, shape.head_dim});
  const at::Tensor v = in.v.reshape({in.v.size(0), shape.kv_heads, value});
  if (k.size(0) > q.size(0)) {
    const at::Tensor mixed = attend(by_head(q, 1, q.size(0), 1), by_head(k, 1, k.size(0), repeat),
                                    by_head(v, 1, v.size(0), repeat), shape, sinks, interrupt);
    return mixed.transpose(1, 2).reshape({q.size(0), shape.heads * value});
  }
  // Runs of equal length are one batch, so that no padding is computed; the budget bounds a batch.
  std::vector<at::Tensor> parts;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < sequences.lengths.size();) {
    const std::int64_t length = sequences.lengths[i];
    const std::int64_t per_sequence = shape.heads * std::min(length, query_block) * length;
    const std::int64_t most = std::max<std::int64_t>(1, score_budget / std::max<std::int64_t>(1, per_sequence));
    std::int64_t batch = 0;
    while (i < sequences.lengths.size() && sequences.lengths[i] == length && batch < most) ++batch, ++i;
    const std::int64_t rows = batch * length;
    const at::Tensor mixed = attend(by_head(q.narrow(0, first, rows), batch, length, 1),
                                    by_head(k.narrow(0, first, rows), batch, length, repeat),
                                    by_head(v.narrow(0, first, rows), batch, length, repeat), shape, sinks, interrupt);
    parts.push_back(mixed.transpose(1, 2).reshape({rows, shape.heads * value}));
    first += rows;
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 0);
}

// One projection [tokens, heads · D] in float32 made ready: norm, clip, rotation from number `rotary_first` of each
// head.
at::Tensor prepared(const at::Tensor& x, const at::Tensor& norm, const AttentionShape& shape, const RopeTables& tables,
                    std::int64_t head_dim, std::int64_t rotary_first = 0) {
  if (kernels::usable(x)) {
    kernels::HeadPreparation how;
    how.norm = shape.rotate || shape.qk_norm != QkNorm::per_head_after_rotation ? shape.qk_norm : QkNorm::none;
    how.weight = norm;
    how.epsilon = shape.norm_epsilon;
    how.clip = shape.clip_qkv.value_or(-1.0);
    how.head_dim = head_dim;
    how.rotary_first = rotary_first;
    how.rotate = shape.rotate;
    return kernels::prepare_heads(x, how, tables);
  }
  at::Tensor out = x;
  const bool whole = shape.qk_norm == QkNorm::whole_width && norm.defined();
  if (whole) out = rms_norm(out, norm, shape.norm_epsilon);
  if (shape.clip_qkv) out = at::clamp(out, -*shape.clip_qkv, *shape.clip_qkv);
  out = out.reshape({x.size(0), -1, head_dim});
  if (shape.qk_norm == QkNorm::per_head && norm.defined()) out = rms_norm(out, norm, shape.norm_epsilon);
  if (shape.rotate) {
    out = rope(out, tables, rotary_first);
    if (shape.qk_norm == QkNorm::per_head_after_rotation) out = rms_norm(out, {}, shape.norm_epsilon);
  }
  return out.reshape({x.size(0), -1});
}

Heads project(const at::Tensor& x, const AttentionWeights& w, const AttentionShape& shape, const RopeTables& tables,
              const Interrupt& interrupt) {
  Heads out;
  const std::int64_t width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
  if (w.qkv.defined()) {
    const at::Tensor all = product(x, w.qkv);
    const auto part = [&](std::int64_t first, std::int64_t columns, const at::Tensor& bias) {
      const at::Tensor narrow = all.narrow(1, first, columns);
      return bias.defined() ? narrow + bias.to(at::kFloat) : narrow;
    };
    out.q = part(0, width, w.q_bias);
    out.k = part(width, kv_width, w.k_bias);
    out.v = part(width + kv_width, kv_width, w.v_bias);
  } else {
    out.q = apply_linear(x, w.q, w.q_bias);
    if (interrupt) interrupt();
    out.k = apply_linear(x, w.k, w.k_bias);
    if (interrupt) interrupt();
    out.v = apply_linear(x, w.v, w.v_bias);
  }
  out.q = prepared(out.q, w.q_norm, shape, tables, shape.head_dim);
  out.k = prepared(out.k, w.k_norm, shape, tables, shape.head_dim);
  if (shape.clip_qkv) out.v = at::clamp(out.v, -*shape.clip_qkv, *shape.clip_qkv);
  return out;
}

Heads project_latent(const at::Tensor& x, const AttentionWeights& w, const AttentionShape& shape,
                     const RopeTables& tables, const Interrupt& interrupt) {
  const LatentAttention& a = shape.latent;
  const std::int64_t tokens = x.size(0), heads = shape.heads;
  Heads out;
  if (w.q_b.defined()) {
    const at::Tensor inner = rms_norm(apply_linear(x, w.q_a, w.q_a_bias), w.q_a_norm, latent_norm_epsilon);
    out.q = apply_linear(inner.to(x.scalar_type()), w.q_b, {});
  } else {
    out.q = apply_linear(x, w.q, {});
  }
  if (interrupt) interrupt();
  const at::Tensor compressed = apply_linear(x, w.kv_a, w.kv_a_bias);
  const at::Tensor latent = rms_norm(compressed.narrow(1, 0, a.kv_rank), w.kv_a_norm, latent_norm_epsilon);
  const at::Tensor both = apply_linear(latent.to(x.scalar_type()), w.kv_b, {})
                              .view({tokens, heads, std::int64_t{a.nope_dim} + a.value_dim});
  // One rotated key part, shared by all heads.
  const at::Tensor position = prepared(compressed.narrow(1, a.kv_rank, a.rope_dim), {}, shape, tables, a.rope_dim);
  const at::Tensor shared = position.unsqueeze(1).expand({tokens, heads, a.rope_dim});
  out.q = prepared(out.q, {}, shape, tables, shape.head_dim, a.nope_dim);
  out.k = at::cat({both.narrow(2, 0, a.nope_dim), shared}, 2).reshape({tokens, -1});
  out.v = both.narrow(2, a.nope_dim, a.value_dim).reshape({tokens, -1});
  return out;
}

// q of each token times ln(1 + ⌊(position + 1) / floor⌋) · scale + 1; positions begin at `first`.
at::Tensor tempered(const at::Tensor& q, const AttentionShape& shape, const PackedSequences& sequences,
                    std::int64_t first) {
  std::vector<float> factors;
  for (const std::int64_t length : sequences.lengths) {
    for (std::int64_t p = first; p < first + length; ++p) {
      const double steps = std::floor((static_cast<double>(p) + 1.0) / shape.temperature_floor);
      factors.push_back(static_cast<float>(std::log1p(steps) * shape.temperature_scale + 1.0));
    }
  }
  return q * at::tensor(factors).to(q.device()).unsqueeze(1);
}

}  // namespace

namespace {

// Adds rows to what is held, which grows by doubling.
at::Tensor appended(at::Tensor& held, std::int64_t length, const at::Tensor& rows) {
  const std::int64_t needed = length + rows.size(0);
  if (!held.defined() || held.size(0) < needed) {
    at::Tensor larger = at::empty({std::max<std::int64_t>(2 * length, needed + 64), rows.size(1)}, rows.options());
    if (length > 0) larger.narrow(0, 0, length).copy_(held.narrow(0, 0, length));
    held = larger;
  }
  held.narrow(0, length, rows.size(0)).copy_(rows);
  return held.narrow(0, 0, needed);
}

}  // namespace

AttentionShape attention_shape(const ModelSpec& spec, const LayerSpec& layer) {
  AttentionShape shape;
  shape.heads = spec.heads;
  shape.kv_heads = spec.kv_heads;
  shape.head_dim = spec.query_dim();
  shape.norm_epsilon = spec.norm_epsilon;
  shape.clip_qkv = spec.clip_qkv;
  shape.qk_norm = spec.qk_norm;
  shape.scale = spec.attention_scale;
  shape.rotate = layer.rope;
  shape.window = layer.window;
  shape.chunk = layer.chunk;
  shape.temperature_floor = layer.rope ? 0.0 : spec.temperature_floor;
  shape.temperature_scale = spec.temperature_scale;
  if (layer.mixer == Mixer::latent_attention) shape.latent = spec.latent;
  return shape;
}

at::Tensor causal_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                            const RopeTables& tables, const PackedSequences& sequences, const Interrupt& interrupt,
                            KvCache* cache) {
  // Norms, angles and scores are in float32 whatever the products' type is.
  Heads heads = shape.latent.kv_rank > 0 ? project_latent(x, weights, shape, tables, interrupt)
                                         : project(x, weights, shape, tables, interrupt);
  if (shape.temperature_floor > 0.0) heads.q = tempered(heads.q, shape, sequences, cache ? cache->length : 0);
  if (cache) {
    heads.k = appended(cache->k, cache->length, heads.k);
    heads.v = appended(cache->v, cache->length, heads.v);
    cache->length = heads.k.size(0);
  }
  const at::Tensor mixed = kernels::usable(heads.q) && kernels::usable(heads.k)
                               ? attend_heads(heads, shape, weights.sinks, sequences, interrupt)
                               : attend_packed(heads, shape, weights.sinks, sequences, interrupt);
  if (interrupt) interrupt();
  const at::Tensor last = mixed.to(x.scalar_type());
  if (weights.o_bias.defined()) return apply_linear(last, weights.o, weights.o_bias);
  return kernels::thin(last, weights.o) ? kernels::thin_product(last, weights.o) : at::matmul(last, weights.o.t());
}

}  // namespace moescope::blocks
