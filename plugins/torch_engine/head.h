// The output head: final norm, logits and each token's loss, in chunks so that [tokens, vocabulary] is never held.
// Used by the forward pass; one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "plugins/torch_engine/recorder.h"
#include "plugins/torch_engine/weights.h"

namespace moescope::torch_engine {

struct Head {
  at::Tensor norm, norm_bias;  // [H]; the bias may be undefined
  at::Tensor weight, bias;     // [V, H], [V]; the bias may be undefined
  Norm kind = Norm::rms;
  double epsilon = 1e-5;
  double logits_divisor = 1.0;
  at::ScalarType compute = at::kFloat;
};

[[nodiscard]] Expected<Head> make_head(const ModelSpec& spec, Weights& weights);

// Logits [n, V] float32 of hidden [n, H].
[[nodiscard]] at::Tensor head_logits(const Head& head, const at::Tensor& hidden);

// hidden [n, H] of packed sequences with token `ids` → losses (natural log; NaN at the last token of a sequence) and,
// where the recorder wants them, logits.
void run_head(const Head& head, const at::Tensor& hidden, std::span<const std::int32_t> ids,
              const std::vector<std::int64_t>& lengths, const TokenRuns& runs, RecordSink* recorder,
              const blocks::Interrupt& interrupt);

}  // namespace moescope::torch_engine
