// A whole OLMoE decoder layer and model, from the blocks. The trainer and tests call these; the engine calls the parts,
// because its hooks sit between them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "plugins/torch_engine/blocks/attention.h"
#include "plugins/torch_engine/blocks/mamba.h"
#include "plugins/torch_engine/blocks/moe.h"
#include "plugins/torch_engine/blocks/router.h"

namespace moescope::blocks {

// What a layer's kind and model do not have is undefined.
struct LayerWeights {
  at::Tensor input_norm, post_norm;            // [H]
  at::Tensor input_norm_bias, post_norm_bias;  // [H]
  AttentionWeights attention;
  MambaWeights mamba;
  at::Tensor cross_norm;                   // [H]
  AttentionWeights cross;                  // a decoder's view of the encoder
  at::Tensor router;                       // [E, H]
  at::Tensor router_bias, selection_bias;  // [E]
  std::vector<ExpertWeights> experts;      // empty: fetched one at a time
  std::function<ExpertWeights(std::size_t)> fetch_expert;
  at::Tensor all_gate_up, all_down;  // the experts' in one tensor each, see Experts
  ExpertWeights shared;              // the MLP of all shared experts
  at::Tensor shared_expert_gate;     // [1, H]
  ExpertWeights dense;               // of a layer without experts
};

struct LayerShape {
  AttentionShape attention;
  double norm_epsilon = 1e-5;
  RouterRule rule;
  std::int64_t k = 0;
};

struct LayerOutput {
  at::Tensor hidden;  // [tokens, H]
  Routing routing;
};

// hidden [tokens, H] → h = hidden + attention(norm(hidden)); h + moe(norm(h)). Differentiable in everything.
LayerOutput olmoe_layer(const at::Tensor& hidden, const LayerWeights& weights, const LayerShape& shape,
                        const RopeTables& tables, const PackedSequences& sequences, const Interrupt& interrupt = {});

struct ModelWeights {
  at::Tensor embedding;   // [V, H]
  at::Tensor final_norm;  // [H]
  at::Tensor lm_head;     // [V, H]; the embedding itself when tied
  std::vector<LayerWeights> layers;
};

struct ModelOutput {
  at::Tensor logits;             // [tokens, V]
  std::vector<Routing> routing;  // per layer
};

// ids [tokens] int64 of the packed sequences; shapes one per layer. Differentiable in the weights.
ModelOutput olmoe_forward(const at::Tensor& ids, const ModelWeights& weights, const std::vector<LayerShape>& shapes,
                          double rope_theta, const PackedSequences& sequences);

// Position of each token in its sequence, [tokens] int64.
at::Tensor packed_positions(const PackedSequences& sequences, at::Device device);

}  // namespace moescope::blocks
