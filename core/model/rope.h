// Rotary positions of a model as data, and the frequencies they mean. Filled by family files, used by engines. Pure:
// any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/export.h"

namespace moescope {

struct RopeSpec {
  enum class Scaling : std::uint8_t { none, linear, dynamic, llama3, yarn, longrope };
  double theta = 10000.0;
  std::uint32_t dims = 0;    // rotated numbers of a head, from its beginning; even
  bool interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + dims/2)
  Scaling scaling = Scaling::none;
  double factor = 1.0;
  double original_positions = 0.0;                                 // positions the model was first trained for
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn
  bool truncate = true;                                            // yarn: whole numbers as the ramp's ends
  std::optional<double> attention_factor = {};                     // of cos and sin; else it follows from the rest
  double mscale = 0.0, mscale_all_dim = 0.0;                       // yarn
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // llama3
  std::vector<double> short_factors = {}, long_factors = {};       // longrope, dims / 2 each
  std::optional<double> short_mscale = {}, long_mscale = {};       // longrope: instead of the attention factor
};

struct RopeFrequencies {
  std::vector<float> inverse;  // dims / 2: angle = position · inverse
  double factor = 1.0;         // of cos and sin
};

// YaRN's g(factor, m) = 1 for factor ≤ 1, else 0.1 · m · ln factor + 1.
[[nodiscard]] MOESCOPE_API double yarn_magnitude(double factor, double m);

// First and last index of YaRN's ramp before it is clamped and truncated.
[[nodiscard]] MOESCOPE_API std::pair<double, double> yarn_range(const RopeSpec& spec, double original_positions);

// For a sequence of `length` tokens of a model with `max_positions` (reference: checkpoints, shared pieces). Longrope
// and dynamic depend on the length; the others do not.
[[nodiscard]] MOESCOPE_API RopeFrequencies rope_frequencies(const RopeSpec& spec, std::uint32_t max_positions,
                                                            std::uint64_t length);

}  // namespace moescope
