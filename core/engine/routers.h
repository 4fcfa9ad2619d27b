// Routers as pure functions on rows of logits: which experts, with which weights. Used by engines for the
// replace-router and override-logits hooks, by tests, and by anyone who asks "what would another rule choose?".
// Immutable once made; any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/model/model_spec.h"

namespace moescope {

// Rows of one layer. A logit of −infinity means that the expert is never chosen.
struct RouterInput {
  std::size_t tokens = 0, experts = 0;
  std::span<const float> logits;            // [tokens, experts]
  std::span<const std::int32_t> token_ids;  // [tokens]
  std::span<const std::int32_t> sequences;  // [tokens], equal ids adjacent
  std::span<const std::int32_t> positions;  // [tokens]
  std::uint32_t layer = 0;
  std::span<const std::uint32_t> force;        // chosen first, in this order, whatever their score
  std::span<const float> selection_bias = {};  // [experts] of a model whose rule has one; empty = none
};

struct RouterChoice {
  std::size_t slots = 0;
  std::vector<std::int32_t> ids;  // [tokens, slots], −1 = unfilled, filled slots first
  std::vector<float> weights;     // [tokens, slots], as applied to the experts' outputs; 0 where unfilled
};

class Router {
 public:
  virtual ~Router() = default;
  [[nodiscard]] virtual RouterChoice choose(const RouterInput& input) const = 0;
  // Slots per token; experts beyond the model's own that compute nothing; the rule in words, for the trace.
  [[nodiscard]] virtual std::size_t slots() const = 0;
  [[nodiscard]] virtual std::uint32_t null_experts() const { return 0; }
  [[nodiscard]] virtual bool by_expert() const { return false; }  // experts choose tokens
  [[nodiscard]] virtual std::string words() const = 0;
};

// What a family is and takes, for menus and --help.
struct RouterFamily {
  std::string name, title;
  std::vector<std::pair<std::string, std::string>> params;  // name -> one-line help with its default
};
[[nodiscard]] MOESCOPE_API const std::vector<RouterFamily>& router_families();

// The model this router is for.
struct RouterModel {
  std::uint32_t experts = 0, k = 0;
  RouterRule rule;
};

// Errors (usage): an unknown family, a parameter that the family does not have or that is out of its range.
[[nodiscard]] MOESCOPE_API Expected<std::shared_ptr<const Router>> make_router(const std::string& family,
                                                                               const nlohmann::json& params,
                                                                               const RouterModel& model);

// Ids of the ids.size() largest scores: descending score, ascending id on equal scores, NaN last. O(k·E), which for the
// k of real models beats a sort. `scores` has at least ids.size() entries.
template <typename Id>
void top_k_ids(std::span<const float> scores, std::span<Id> ids) {
  const auto better = [&](std::size_t a, std::size_t b) {  // a before b, for distinct ids
    const float x = scores[a], y = scores[b];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x > y || (x == y && a < b);
  };
  std::size_t filled = 0;
  for (std::size_t e = 0; e < scores.size(); ++e) {
    if (filled == ids.size() && !better(e, static_cast<std::size_t>(ids[filled - 1]))) continue;
    std::size_t place = filled < ids.size() ? filled++ : filled - 1;
    for (; place > 0 && better(e, static_cast<std::size_t>(ids[place - 1])); --place) ids[place] = ids[place - 1];
    ids[place] = static_cast<Id>(e);
  }
}

}  // namespace moescope
