// Choosing the next token from logits. Used by engines and tests. One sampler per sequence; one thread.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "core/base/export.h"
#include "core/engine/engine.h"

namespace moescope {

class MOESCOPE_API TokenSampler {
 public:
  // `sequence` makes the draws of several sequences independent of each other.
  TokenSampler(const GenerateOptions& options, std::uint64_t sequence);

  // Temperature 0: the largest logit, the lower id on ties. Else a draw from softmax(logits / temperature) among the
  // fewest most likely tokens whose probabilities reach top_p. Logits that are not numbers are never chosen.
  [[nodiscard]] std::int32_t next(std::span<const float> logits);

 private:
  double temperature_, top_p_;
  std::mt19937_64 random_;
  std::vector<std::pair<float, std::int32_t>> ranked_;
};

// Whether the options can be used. Error (usage): a number out of its range.
[[nodiscard]] MOESCOPE_API Expected<void> check_generate(const GenerateOptions& options);

}  // namespace moescope
