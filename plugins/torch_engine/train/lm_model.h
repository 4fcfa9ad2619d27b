// The sample's model as trainable tensors: shape, first weights, and the two losses that a router is trained with. The
// forward pass is blocks::olmoe_forward, the engine's own. Used by the trainer alone; one thread calls, the products
// inside use LibTorch's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/layer.h"

namespace moescope::train {

struct ModelShape {
  std::int64_t vocabulary = 2048, hidden = 128, layers = 6, heads = 4, experts = 16, k = 2, intermediate = 64;
  std::int64_t max_positions = 512;
  double norm_epsilon = 1e-5, rope_theta = 10000.0;
  bool norm_topk_prob = true;  // the chosen experts' weights sum to 1

  [[nodiscard]] std::vector<blocks::LayerShape> layer_shapes() const;
};

// One tensor of the model under its name in the checkpoint.
struct Parameter {
  std::string name;
  at::Tensor tensor;  // shares memory with the model's
  bool decays;        // weight decay applies: matrices, not norms or the embedding
};
[[nodiscard]] std::vector<Parameter> parameters(const blocks::ModelWeights& weights);

// Float32, normal(0, 0.02) matrices (the outputs of each block smaller by sqrt(2 · layers)), unit norms. The same for a
// seed; every tensor asks for its gradient.
[[nodiscard]] blocks::ModelWeights initial_weights(const ModelShape& shape, std::uint64_t seed);

// Logits [B · T, V] and routing of `tokens` [B, T] int64, each row a sequence of its own.
[[nodiscard]] blocks::ModelOutput forward(const blocks::ModelWeights& weights, const ModelShape& shape,
                                          const at::Tensor& tokens);

// Load-balance loss of Switch Transformers, mean over layers: E · Σ_e f_e · P_e, f_e the share of the whole batch's
// slots and P_e the mean score; 1 when even. Over the whole batch of mixed domains, so that experts may specialise.
[[nodiscard]] at::Tensor balance_loss(const std::vector<blocks::Routing>& routing);
// Router z-loss of ST-MoE, mean over layers and tokens: logsumexp(logits)².
[[nodiscard]] at::Tensor router_z_loss(const std::vector<blocks::Routing>& routing);

}  // namespace moescope::train
