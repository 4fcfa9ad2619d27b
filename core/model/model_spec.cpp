#include "core/model/model_spec.h"

#include "core/model/weight_names.h"

namespace moescope {
namespace {

std::uint64_t count(const ModelSpec& spec, bool active) {
  std::uint64_t n = 0;
  for_each_weight(spec, [&](const WeightUse& use) {
    const bool skipped = use.role == WeightRole::selection_bias ||
                         (active && is_expert_role(use.role) && use.expert >= spec.layers[use.layer].k);
    if (!skipped) n += use.rows * use.columns;
    return true;
  });
  return n;
}

}  // namespace

std::uint64_t ModelSpec::parameters_total() const {
  return count(*this, false);
}

std::uint64_t ModelSpec::parameters_active() const {
  return count(*this, true);
}

}  // namespace moescope
