#include "plugins/torch_engine/blocks/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"

namespace moescope::blocks {
namespace {

// Largest block of scores held at once, in elements; bounds memory and the time between two looks at `interrupt`.
constexpr std::int64_t score_budget = 4 << 20;
constexpr std::int64_t query_block = 256;

// q, k, v [batch, heads, length, D] with equal head counts → [batch, heads, length, D].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Interrupt& interrupt) {
  const std::int64_t length = q.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  std::vector<at::Tensor> blocks;
  for (std::int64_t begin = 0; begin < length; begin += query_block) {
    if (interrupt) interrupt();
    const std::int64_t rows = std::min(query_block, length - begin);
    const std::int64_t keys = begin + rows;
    const at::Tensor scores = at::matmul(q.narrow(2, begin, rows), k.narrow(2, 0, keys).transpose(2, 3)) * scale;
    // Row r of the block may see keys 0..begin + r.
    const at::Tensor hidden_keys =
        at::triu(at::full({rows, keys}, -std::numeric_limits<float>::infinity(), scores.options().requires_grad(false)),
                 begin + 1);
    const at::Tensor probabilities = at::softmax(scores + hidden_keys, -1);
    blocks.push_back(at::matmul(probabilities, v.narrow(2, 0, keys)));
  }
  return blocks.size() == 1 ? blocks.front() : at::cat(blocks, 2);
}

// [batch·length, heads, D] → [batch, heads, length, D], key heads repeated for their query heads.
at::Tensor by_head(const at::Tensor& packed, std::int64_t batch, std::int64_t length, std::int64_t repeat) {
  const at::Tensor split = packed.view({batch, length, packed.size(1), packed.size(2)}).transpose(1, 2);
  return (repeat == 1 ? split : at::repeat_interleave(split, repeat, 1)).contiguous();
}

// The same without gradients on the CPU: one task per sequence and head, which no thread has to share. q, k [tokens, …]
// are normed and rotated, v is not copied.
at::Tensor attend_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionShape& shape,
                        const PackedSequences& sequences, const Interrupt& interrupt) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  std::vector<std::int64_t> first{0};
  for (const std::int64_t length : sequences.lengths) first.push_back(first.back() + length);
  at::Tensor out = at::empty({q.size(0), shape.heads * shape.head_dim}, q.options());
  const auto count = static_cast<std::int64_t>(sequences.lengths.size()) * shape.heads;
  kernels::parallel_tasks(count, [&](std::int64_t task) {
    const std::int64_t head = task % shape.heads, from = first[static_cast<std::size_t>(task / shape.heads)];
    const std::int64_t length = first[static_cast<std::size_t>(task / shape.heads) + 1] - from;
    const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
    const auto part = [&](const at::Tensor& all, std::int64_t h) {
      return all.narrow(0, from, length).narrow(1, h * shape.head_dim, shape.head_dim);
    };
    const at::Tensor query = part(q, head), keys = part(k, kv_head), values = part(v, kv_head);
    at::Tensor mixed = part(out, head);
    for (std::int64_t begin = 0; begin < length; begin += query_block) {
      if (interrupt) interrupt();
      const std::int64_t rows = std::min(query_block, length - begin), seen = begin + rows;
      at::Tensor scores = at::mm(query.narrow(0, begin, rows), keys.narrow(0, 0, seen).t());
      kernels::causal_softmax(scores, begin, scale);
      at::Tensor place = mixed.narrow(0, begin, rows);
      at::mm_out(place, scores, values.narrow(0, 0, seen));
    }
  });
  return out;
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                            const RopeTables& tables, const PackedSequences& sequences, const Interrupt& interrupt) {
  const std::int64_t tokens = x.size(0), width = shape.heads * shape.head_dim,
                     kv_width = shape.kv_heads * shape.head_dim;
  at::Tensor q, k, v;
  if (weights.qkv.defined()) {
    const at::Tensor all = at::matmul(x, weights.qkv.t());
    q = all.narrow(1, 0, width);
    k = all.narrow(1, width, kv_width);
    v = all.narrow(1, width + kv_width, kv_width);
  } else {
    q = at::matmul(x, weights.q.t());
    if (interrupt) interrupt();
    k = at::matmul(x, weights.k.t());
    if (interrupt) interrupt();
    v = at::matmul(x, weights.v.t());
  }
  // Norms, angles and scores are in float32 whatever the products' type is.
  q = q.to(at::kFloat);
  k = k.to(at::kFloat);
  v = v.to(at::kFloat);
  if (kernels::usable(q) && kernels::usable(k)) {
    const double clip = shape.clip_qkv.value_or(-1.0);
    q = kernels::norm_clip_rope(q, weights.q_norm, shape.norm_epsilon, clip, tables, shape.head_dim);
    k = kernels::norm_clip_rope(k, weights.k_norm, shape.norm_epsilon, clip, tables, shape.head_dim);
    if (shape.clip_qkv) v = at::clamp(v, -*shape.clip_qkv, *shape.clip_qkv);
    const at::Tensor heads = attend_heads(q, k, v, shape, sequences, interrupt);
    if (interrupt) interrupt();
    return at::matmul(heads.to(x.scalar_type()), weights.o.t());
  }
  if (weights.q_norm.defined()) q = rms_norm(q, weights.q_norm, shape.norm_epsilon);
  if (weights.k_norm.defined()) k = rms_norm(k, weights.k_norm, shape.norm_epsilon);
  if (shape.clip_qkv) {
    q = at::clamp(q, -*shape.clip_qkv, *shape.clip_qkv);
    k = at::clamp(k, -*shape.clip_qkv, *shape.clip_qkv);
    v = at::clamp(v, -*shape.clip_qkv, *shape.clip_qkv);
  }
  q = rope(q.reshape({tokens, shape.heads, shape.head_dim}), tables);
  k = rope(k.reshape({tokens, shape.kv_heads, shape.head_dim}), tables);
  v = v.reshape({tokens, shape.kv_heads, shape.head_dim});
  const std::int64_t repeat = shape.heads / shape.kv_heads;

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
                                    by_head(v.narrow(0, first, rows), batch, length, repeat), interrupt);
    parts.push_back(mixed.transpose(1, 2).reshape({rows, width}));
    first += rows;
  }
  const at::Tensor heads = parts.size() == 1 ? parts.front() : at::cat(parts, 0);
  if (interrupt) interrupt();
  return at::matmul(heads.to(x.scalar_type()), weights.o.t());
}

}  // namespace moescope::blocks
