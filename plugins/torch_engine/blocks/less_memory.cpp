#include "plugins/torch_engine/blocks/less_memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/model/weight_names.h"

namespace moescope::torch_engine {
namespace {

// "total capacity of 139.72 GiB" or "15.90 GiB total capacity", in bytes.
std::optional<double> capacity_in(const std::string& failure) {
  constexpr const char* before = "capacity of ";
  constexpr const char* after = " GiB total capacity";
  std::size_t begin = failure.find(before);
  if (begin != std::string::npos) {
    begin += std::string(before).size();
  } else {
    const std::size_t end = failure.find(after);
    if (end == std::string::npos || end == 0) return std::nullopt;
    begin = failure.find_last_not_of("0123456789.", end - 1) + 1;
  }
  const double size = std::strtod(failure.c_str() + begin, nullptr);
  return size > 0 ? std::optional(size * 1073741824.0) : std::nullopt;
}

// Weights of the largest layer, its experts as they are when all of them are chosen.
std::uint64_t largest_layer(const ModelSpec& spec) {
  std::uint64_t most = 0;
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    std::uint64_t numbers = 0;
    for_each_layer_weight(spec, l, [&](const WeightUse& use) { return numbers += use.rows * use.columns, true; });
    most = std::max(most, numbers);
  }
  return most;
}

// Held for one token at the fullest moment of a layer: residual and normed streams, heads, and for each slot an
// expert's input, inner numbers and output.
std::uint64_t bytes_per_token(const ModelSpec& spec, std::uint64_t bytes) {
  std::uint64_t most = 0;
  for (const LayerSpec& layer : spec.layers) {
    const std::uint64_t slots = std::max<std::uint64_t>(1, layer.k);
    const std::uint64_t experts = slots * (2ULL * spec.hidden * bytes + 3ULL * layer.intermediate * 4);
    most = std::max(most, experts);
  }
  return most + 16ULL * spec.hidden + 12ULL * spec.heads * spec.query_dim();
}

}  // namespace

std::string what_would_fit(const ModelSpec& spec, std::uint64_t bytes, const std::string& failure) {
  const std::uint64_t layer = largest_layer(spec) * bytes, token = bytes_per_token(spec, bytes);
  char sizes[128];
  std::snprintf(sizes, sizeof sizes, "Streamed, a layer takes %.2f GB and each token of a sequence %.3f MB",
                static_cast<double>(layer) * 1e-9, static_cast<double>(token) * 1e-6);
  std::string out = sizes;
  if (const auto capacity = capacity_in(failure)) {
    const double room = 0.9 * *capacity - static_cast<double>(layer);
    out += room > 0 ? ", so sequences of up to about " +
                          std::to_string(static_cast<std::uint64_t>(room / static_cast<double>(token))) +
                          " tokens would fit alone on this device"
                    : std::string(", which is more than this device has: run on the CPU");
  }
  return out + ". Run shorter sequences, use bfloat16, close what else uses the device, or run on the CPU";
}

}  // namespace moescope::torch_engine
