#include "plugins/torch_engine/blocks/layer.h"

#include <ATen/ATen.h>

#include <numeric>

#include "plugins/torch_engine/blocks/norm.h"

namespace moescope::blocks {

LayerOutput olmoe_layer(const at::Tensor& hidden, const LayerWeights& weights, const LayerShape& shape,
                        const RopeTables& tables, const PackedSequences& sequences, const Interrupt& interrupt) {
  const at::Tensor attended =
      hidden + causal_attention(rms_norm(hidden, weights.input_norm, shape.norm_epsilon), weights.attention,
                                shape.attention, tables, sequences, interrupt);
  const at::Tensor x = rms_norm(attended, weights.post_norm, shape.norm_epsilon);
  LayerOutput out;
  out.routing = route(router_logits(x, weights.router), shape.rule, shape.k);
  out.hidden = attended + moe_block(x, out.routing.ids, out.routing.weights, weights.experts, interrupt);
  return out;
}

ModelOutput olmoe_forward(const at::Tensor& ids, const ModelWeights& weights, const std::vector<LayerShape>& shapes,
                          double rope_theta, const PackedSequences& sequences) {
  ModelOutput out;
  const RopeTables tables =
      rope_tables(packed_positions(sequences, ids.device()), shapes.at(0).attention.head_dim, rope_theta);
  at::Tensor hidden = at::embedding(weights.embedding, ids);
  for (std::size_t l = 0; l < weights.layers.size(); ++l) {
    LayerOutput layer = olmoe_layer(hidden, weights.layers[l], shapes.at(l), tables, sequences);
    hidden = layer.hidden;
    out.routing.push_back(std::move(layer.routing));
  }
  const double epsilon = shapes.at(0).norm_epsilon;
  out.logits = at::matmul(rms_norm(hidden, weights.final_norm, epsilon), weights.lm_head.t());
  return out;
}

at::Tensor packed_positions(const PackedSequences& sequences, at::Device device) {
  const std::int64_t tokens =
      std::accumulate(sequences.lengths.begin(), sequences.lengths.end(), static_cast<std::int64_t>(0));
  at::Tensor out = at::empty({tokens}, at::TensorOptions().dtype(at::kLong));
  auto* position = out.data_ptr<std::int64_t>();
  for (const std::int64_t length : sequences.lengths) {
    std::iota(position, position + length, static_cast<std::int64_t>(0));
    position += length;
  }
  return out.to(device);
}

}  // namespace moescope::blocks
