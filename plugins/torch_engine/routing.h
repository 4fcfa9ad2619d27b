// One layer's routing for a batch, hooks included: which experts are recorded, which of them compute. Used by the
// forward pass; one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "plugins/torch_engine/recorder.h"
#include "plugins/torch_engine/run_plan.h"

namespace moescope::torch_engine {

// Facts of the tokens of a batch that routers may look at. All [n], on the CPU.
struct BatchTokens {
  std::span<const std::int32_t> ids, sequences, positions;
};

struct RoutedBatch {
  RowDecision decision;  // for the record; tensors on the CPU
  at::Tensor ids;        // [n, slots] int64 on the device: −1 = unfilled, dropped or null, so nothing is computed
  at::Tensor weights;    // [n, slots] float32 on the device
};

// logits [n, E] float32 → the choice under the layer's rule and hooks. `selection_bias` [E] or undefined.
[[nodiscard]] RoutedBatch route_batch(const at::Tensor& logits, const at::Tensor& selection_bias,
                                      const LayerSpec& layer, const LayerHooks& hooks, std::uint32_t index,
                                      const BatchTokens& tokens);

}  // namespace moescope::torch_engine
