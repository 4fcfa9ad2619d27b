// AdamW (Loshchilov & Hutter 2019) over float32 tensors, one pass over each parameter. Used by the trainer; one thread,
// so the result depends on the gradients alone.
#pragma once

#include <vector>

#include "plugins/torch_engine/train/lm_model.h"

namespace moescope::train {

struct AdamWSettings {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
  double clip = 1.0;  // largest norm of all gradients together
};

class AdamW {
 public:
  // The parameters share memory with the model, which is updated in place.
  AdamW(std::vector<Parameter> parameters, AdamWSettings settings);
  // One update with the tensors' gradients, which are dropped afterwards. Returns the gradients' norm before clipping.
  double step(double learning_rate);

 private:
  std::vector<Parameter> parameters_;
  AdamWSettings settings_;
  std::vector<std::vector<float>> first_, second_;
  int steps_ = 0;
};

}  // namespace moescope::train
