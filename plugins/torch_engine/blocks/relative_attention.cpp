#include "plugins/torch_engine/blocks/relative_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/model/relative_position.h"
#include "plugins/torch_engine/blocks/projection.h"

namespace moescope::blocks {
namespace {

constexpr std::int64_t relative_query_block = 256;  // bounds the scores that are held at once

// Rows [first, first + rows) of a projection, heads in front: [heads, rows, D].
at::Tensor heads_of(const at::Tensor& projected, std::int64_t first, std::int64_t rows, std::int64_t heads) {
  return projected.narrow(0, first, rows).view({rows, heads, -1}).transpose(0, 1).contiguous();
}

}  // namespace

at::Tensor relative_bias(const RelativeView& view, std::int64_t first, std::int64_t queries, std::int64_t keys) {
  // One entry for each distance that occurs, from the last query's first key on.
  const std::int64_t lowest = -(first + queries - 1), count = keys + queries - 1;
  std::vector<std::int64_t> buckets;
  for (std::int64_t i = 0; i < count; ++i) {
    buckets.push_back(relative_bucket(view.positions, view.both_ways, lowest + i));
  }
  const at::Tensor table =
      at::index_select(view.bias, 0, at::tensor(buckets).to(view.bias.device()));  // [count, heads]
  const at::TensorOptions whole = at::TensorOptions().dtype(at::kLong).device(view.bias.device());
  const at::Tensor query = at::arange(queries, whole).unsqueeze(1), key = at::arange(keys, whole).unsqueeze(0);
  const at::Tensor place = (key - query + (queries - 1)).reshape({-1});
  return at::index_select(table, 0, place).t().reshape({view.bias.size(1), queries, keys});
}

at::Tensor relative_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                              const RelativeView& view, const PackedSequences& sequences, const Interrupt& interrupt) {
  const at::Tensor& source = view.memory.defined() ? view.memory : x;
  const PackedSequences& seen = view.memory.defined() ? view.memory_sequences : sequences;
  const std::int64_t width = shape.heads * shape.head_dim;
  at::Tensor q, k, v;
  if (weights.qkv.defined()) {
    const at::Tensor all = product(x, weights.qkv);
    q = all.narrow(1, 0, width).contiguous();
    k = all.narrow(1, width, width).contiguous();
    v = all.narrow(1, 2 * width, width).contiguous();
  } else {
    q = apply_linear(x, weights.q, {});
    if (interrupt) interrupt();
    k = apply_linear(source, weights.k, {});
    v = apply_linear(source, weights.v, {});
  }
  at::Tensor mixed = at::empty({x.size(0), width}, q.options());
  std::int64_t first = 0, first_seen = 0;
  for (std::size_t s = 0; s < sequences.lengths.size(); ++s) {
    const std::int64_t length = sequences.lengths[s], keys = seen.lengths[s];
    const at::Tensor query = heads_of(q, first, length, shape.heads);
    const at::Tensor key = heads_of(k, first_seen, keys, shape.heads).transpose(1, 2);
    const at::Tensor value = heads_of(v, first_seen, keys, shape.heads);
    for (std::int64_t begin = 0; begin < length; begin += relative_query_block) {
      if (interrupt) interrupt();
      const std::int64_t rows = std::min(relative_query_block, length - begin);
      at::Tensor scores = at::matmul(query.narrow(1, begin, rows), key) * shape.scale;
      if (view.bias.defined()) scores = scores + relative_bias(view, begin, rows, keys);
      if (!view.memory.defined() && !view.both_ways) {
        const at::Tensor later = at::ones({rows, keys}, scores.options().dtype(at::kBool)).triu(begin + 1);
        scores = scores.masked_fill(later, -std::numeric_limits<float>::infinity());
      }
      const at::Tensor out = at::matmul(at::softmax(scores, -1), value);  // [heads, rows, D]
      mixed.narrow(0, first + begin, rows).copy_(out.transpose(0, 1).reshape({rows, width}));
    }
    first += length;
    first_seen += keys;
  }
  return at::matmul(mixed.to(x.scalar_type()), weights.o.t());
}

}  // namespace moescope::blocks
