// Weights of a checkpoint as tensors: views of the mapped file where types allow, copies in the compute type elsewhere.
// Either resident (made once, gate and up fused) or made anew for each layer, so that a model larger than memory runs.
// Used by the forward pass; one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/checkpoint.h"
#include "plugins/torch_engine/blocks/layer.h"

namespace moescope::torch_engine {

class Weights {
 public:
  // `compute` is the type of the matrix products; norms and the router stay in float32. `resident` keeps every layer.
  Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType compute, at::Device device, bool resident);

  // Weights of one layer; the reference is valid until the next call. Calls `interrupt` between tensors.
  [[nodiscard]] Expected<const blocks::LayerWeights*> layer(std::uint32_t index, const blocks::Interrupt& interrupt);
  // Embedding rows of `ids` [n] int64 (on the CPU) → [n, H] float32 on the device.
  [[nodiscard]] Expected<at::Tensor> embed(const at::Tensor& ids);
  [[nodiscard]] Expected<at::Tensor> final_norm();
  // [V, H] in the compute type.
  [[nodiscard]] Expected<at::Tensor> lm_head();

  [[nodiscard]] at::ScalarType compute() const { return compute_; }
  [[nodiscard]] at::Device device() const { return device_; }

 private:
  [[nodiscard]] Expected<at::Tensor> mapped(const std::string& name) const;
  [[nodiscard]] Expected<at::Tensor> make(const std::string& name, at::ScalarType type) const;
  [[nodiscard]] Expected<blocks::LayerWeights> make_layer(std::uint32_t index,
                                                          const blocks::Interrupt& interrupt) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  at::ScalarType compute_;
  at::Device device_;
  bool resident_;
  std::vector<std::optional<blocks::LayerWeights>> layers_;
  blocks::LayerWeights streamed_;
  at::Tensor lm_head_;
};

// A tensor over the bytes of `view`, which it keeps mapped; copied when the bytes are not aligned for their type.
// Error (input): a type that this engine does not compute with.
[[nodiscard]] Expected<at::Tensor> tensor_of(const TensorView& view);

}  // namespace moescope::torch_engine
