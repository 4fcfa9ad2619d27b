// Weights of a checkpoint as tensors: views of the mapped file where types allow, decoded or converted copies
// elsewhere. Either resident (made once, gate and up fused) or made anew for each layer, experts one at a time when a
// token chose them, so that a model larger than memory runs. Used by the forward pass; layer() from one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/checkpoint.h"
#include "plugins/torch_engine/blocks/layer.h"

namespace moescope::torch_engine {

// Thrown where a weight is fetched in the middle of a product; the engine's edge turns it back into its Error.
struct WeightError {
  Error error;
};

// Which way a run's weights go.
struct Residence {
  bool resident = true;            // every layer is kept
  std::uint64_t expert_cache = 0;  // while streaming: bytes of converted experts that are kept until the next layer
  bool prefetch_experts = true;    // while streaming: there are so many tokens that nearly all experts will be chosen
  std::string why;
};

class Weights {
 public:
  // `compute` is the type of the matrix products; norms and the router stay in float32.
  Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType compute, at::Device device,
          const Residence& residence);
  ~Weights();

  // Weights of one layer; the reference is valid until the next call. Calls `interrupt` between tensors.
  [[nodiscard]] Expected<const blocks::LayerWeights*> layer(std::uint32_t index, const blocks::Interrupt& interrupt);
  // Embedding rows of `ids` [n] int64 (on the CPU) → [n, H] float32 on the device.
  [[nodiscard]] Expected<at::Tensor> embed(const at::Tensor& ids);
  // A weight that is not one of a single layer, in float32: norms and biases. `layer` where it is stored in one.
  [[nodiscard]] Expected<at::Tensor> outside(WeightRole role, std::uint32_t layer = 0);
  // The head [V, H] in the compute type.
  [[nodiscard]] Expected<at::Tensor> lm_head();

  [[nodiscard]] at::ScalarType compute() const { return compute_; }
  [[nodiscard]] at::Device device() const { return device_; }
  [[nodiscard]] bool resident() const { return resident_; }
  // Gives up what is kept and goes on with a layer at a time. False when that is so already.
  bool stream();

 private:
  struct ExpertCache;
  void turn_to(std::uint32_t layer);
  [[nodiscard]] Expected<at::Tensor> make(WeightRole role, std::uint32_t layer, std::uint32_t expert,
                                          at::ScalarType type) const;
  [[nodiscard]] Expected<at::Tensor> latent_projection(std::uint32_t layer) const;
  [[nodiscard]] Expected<blocks::ExpertWeights> make_expert(std::uint32_t layer, std::uint32_t expert) const;
  void stack_experts(blocks::LayerWeights& layer) const;
  [[nodiscard]] Expected<blocks::LayerWeights> make_layer(std::uint32_t index, const blocks::Interrupt& interrupt);

  std::shared_ptr<const Checkpoint> checkpoint_;
  at::ScalarType compute_;
  at::Device device_;
  bool resident_;
  bool prefetch_experts_;
  std::shared_ptr<ExpertCache> cache_;
  std::future<void> prefetch_;
  std::optional<std::uint32_t> read_layer_;  // the layer whose mapped bytes are in use
  std::vector<std::optional<blocks::LayerWeights>> layers_;
  blocks::LayerWeights streamed_;
  at::Tensor lm_head_;
};

// The numbers of a slice as a matrix [rows, columns], or [rows] where columns is 1: over the mapped bytes, which it
// keeps mapped, when they are of a type that torch computes with; else a float32 copy. Error (input): a type that
// cannot be decoded.
[[nodiscard]] Expected<at::Tensor> tensor_of(const WeightSlice& slice);

}  // namespace moescope::torch_engine
