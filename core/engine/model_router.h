// A model's own router rule on rows of logits: the reference for every rule a ModelSpec can state. Used by engines, by
// the "model" router of hooks and by tests. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/export.h"
#include "core/engine/routers.h"
#include "core/model/router_rule.h"

namespace moescope {

// Buffers of one row, reused from row to row.
struct RuleScratch {
  std::vector<float> scores, rank;
  std::vector<float> group_scores;
  std::vector<std::uint32_t> group_ids;
  std::vector<std::int32_t> ids;
};

struct RuleRow {
  std::span<const float> logits;          // [E]; −infinity = never chosen
  std::span<const float> selection_bias;  // [E], or empty
  std::span<const std::uint32_t> force;   // chosen first
};

// Chooses ids.size() experts: descending selection score, ascending id on ties; −1 where there are not enough.
// `weights` as applied, 0 where unfilled. Returns the selection score of the last chosen minus that of the best not
// chosen; NaN when there is none. Formulas: reference checkpoints, sections 4.1 to 4.15.
MOESCOPE_API float choose_by_rule(const RouterRule& rule, const RuleRow& row, std::span<std::int32_t> ids,
                                  std::span<float> weights, RuleScratch& scratch);

// The rule as a Router with k slots.
[[nodiscard]] std::shared_ptr<const Router> make_model_router(std::uint32_t experts, std::size_t k,
                                                              const RouterRule& rule);

}  // namespace moescope
