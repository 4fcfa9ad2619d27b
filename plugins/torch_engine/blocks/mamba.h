// The mixer of mamba layers (selective state space, first version, as Jamba has it). Called by the engine's forward
// pass; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include "plugins/torch_engine/blocks/attention.h"

namespace moescope::blocks {

// M inner width, R rank of the step size, S state, c convolution. Rows are outputs.
struct MambaWeights {
  at::Tensor in, in_bias;                    // [2M, H]: u's rows, then the gate's
  at::Tensor convolution, convolution_bias;  // [M, c] float32: the last column is the token itself
  at::Tensor x;                              // [R + 2S, M]
  at::Tensor dt, dt_bias;                    // [M, R], [M]
  at::Tensor a_log, d;                       // [M, S], [M] float32
  at::Tensor out, out_bias;                  // [H, M]
  at::Tensor dt_norm, b_norm, c_norm;        // [R], [S], [S]
};

// x [tokens, H] (already normed) → [tokens, H]; the state starts at zero in each sequence (reference:
// checkpoints, 4.14). Not differentiable: the scan is a loop on the CPU.
at::Tensor mamba_mixer(const at::Tensor& x, const MambaWeights& weights, double norm_epsilon,
                       const PackedSequences& sequences, const Interrupt& interrupt = {});

}  // namespace moescope::blocks
