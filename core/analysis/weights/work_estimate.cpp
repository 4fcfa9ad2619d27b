// How long an analysis of weights takes, roughly.
#include <algorithm>
#include <cstdint>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/base/threads.h"

namespace moescope {
namespace {

// Cautious rates of one core: products in float32 and float64 through Eigen without wide vectors, bytes decoded.
constexpr double float_rate = 5e9, double_rate = 2e9, byte_rate = 4e8;

// Numbers of an analysis: bytes read, operations in float32 and in float64.
struct Work {
  double bytes = 0, floats = 0, doubles = 0;
};

double seconds_of(const Work& work) {
  const double cores = std::max(1, job_threads());
  return (work.bytes / byte_rate + work.floats / float_rate + work.doubles / double_rate) / cores;
}

}  // namespace

std::vector<std::uint32_t> expert_layers(const ModelSpec& spec) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l)
    if (spec.layers[l].kind == LayerKind::moe) out.push_back(l);
  return out;
}

double estimated_seconds(const std::string& name, const Checkpoint& checkpoint, const nlohmann::json& params) {
  const ModelSpec& spec = checkpoint.spec();
  const std::vector<std::uint32_t> layers = expert_layers(spec);
  const auto text = [&](const char* key) {
    return params.is_object() && params.contains(key) && params[key].is_string() ? params[key].get<std::string>()
                                                                                 : std::string();
  };
  const double hidden = spec.hidden;
  Work work;
  if (name == "expert_norms") {
    for (const std::uint32_t l : layers)
      work.bytes += 4.0 * spec.layers[l].experts * hidden * spec.layers[l].intermediate;
    return seconds_of(work);
  }
  std::int64_t layer = -1;
  if (params.is_object() && params.contains("layer") && params["layer"].is_number_integer())
    layer = params["layer"].get<std::int64_t>();
  if (layer == -1 && !layers.empty()) layer = layers.front();
  if (std::find(layers.begin(), layers.end(), layer) == layers.end()) return 0;
  const LayerSpec& one = spec.layers[static_cast<std::size_t>(layer)];
  const double experts = one.experts, inner = one.intermediate;
  const double numbers = experts * hidden * inner;  // of one part
  if (name == "expert_similarity" && text("measure") == "cka") {
    work.bytes = 4 * numbers;
    // Per pair three products of inner × hidden by its transpose.
    work.floats = experts * experts / 2 * 6 * inner * inner * hidden;
  } else if (name == "expert_similarity") {
    work.bytes = 12 * numbers;
    work.floats = 6 * experts * numbers;
  } else if (name == "expert_spectra") {
    const double small = std::min(hidden, inner);
    work.bytes = 4 * numbers;
    work.doubles = experts * (2 * small * hidden * inner + 4 * small * small * small);
  }
  return seconds_of(work);
}

}  // namespace moescope
