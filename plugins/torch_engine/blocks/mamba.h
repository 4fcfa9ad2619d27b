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

// What a sequence's next token needs of those before it: the last c − 1 inputs of the convolution [≤ c − 1, M] and the
// state [M, S], float32 on the CPU. Undefined = nothing came before.
struct MambaCache {
  at::Tensor inputs, state;
};

// x [tokens, H] (already normed) → [tokens, H]; the state starts at zero in each sequence (reference:
// checkpoints, 4.14). With a cache there is one sequence, which goes on from it and leaves what its next token needs.
// Not differentiable: the scan is a loop on the CPU.
at::Tensor mamba_mixer(const at::Tensor& x, const MambaWeights& weights, double norm_epsilon,
                       const PackedSequences& sequences, const Interrupt& interrupt = {}, MambaCache* cache = nullptr);

}  // namespace moescope::blocks
