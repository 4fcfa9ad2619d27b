// Families by name: checks parameters and fills in the options of the two kinds of router.
#include "core/engine/routers.h"

#include <fmt/format.h>

#include "core/engine/model_router.h"
#include "core/engine/token_choice.h"

namespace moescope {
namespace {

using nlohmann::json;
using Rank = TokenChoiceOptions::Rank;
using Weigh = TokenChoiceOptions::Weigh;

constexpr std::size_t most_slots = 249;  // of the trace file

// Reads parameters and remembers the first thing that was wrong.
class Params {
 public:
  Params(const json& values, const RouterFamily& family) : values_(values), family_(family) {
    if (!values.is_object() && !values.is_null()) error_ = "the parameters must be a JSON object";
    for (const auto& [name, value] : values.items()) {
      if (std::none_of(family.params.begin(), family.params.end(),
                       [&n = name](const auto& p) { return p.first == n; })) {
        set(fmt::format("no parameter \"{}\"", name));
      }
    }
  }

  double number(const char* name, double otherwise, double least, double most) {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    const bool fits = found->is_number() && found->get<double>() >= least && found->get<double>() <= most;
    if (!fits) set(fmt::format("{} must be a number from {} to {}", name, least, most));
    return fits ? found->get<double>() : otherwise;
  }
  std::size_t count(const char* name, std::size_t otherwise, std::size_t least, std::size_t most) {
    const double value =
        number(name, static_cast<double>(otherwise), static_cast<double>(least), static_cast<double>(most));
    if (value != std::floor(value)) set(fmt::format("{} must be a whole number", name));
    return static_cast<std::size_t>(value);
  }
  bool flag(const char* name, bool otherwise) {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    if (!found->is_boolean()) set(fmt::format("{} must be true or false", name));
    return found->is_boolean() ? found->get<bool>() : otherwise;
  }
  std::string choice(const char* name, std::vector<std::string> allowed) {
    const auto found = values_.find(name);
    if (found == values_.end()) return allowed.front();
    std::string text = found->is_string() ? found->get<std::string>() : "";
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
    set(fmt::format("{} must be one of {}", name, fmt::join(allowed, ", ")));
    return allowed.front();
  }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] Error as_error() const {
    std::vector<std::string> names;
    for (const auto& param : family_.params) names.push_back(param.first);
    return Error{ErrorKind::usage, error_, "router " + family_.name,
                 fmt::format("It takes: {}", names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")))};
  }

 private:
  void set(std::string text) {
    if (error_.empty()) error_ = std::move(text);
  }
  const json& values_;
  const RouterFamily& family_;
  std::string error_;
};

std::vector<RouterFamily> families() {
  const std::pair<std::string, std::string> k{"k", "experts per token (the model's k)"};
  const std::pair<std::string, std::string> renormalise{"renormalise",
                                                        "divide the chosen weights by their sum (false)"};
  const std::pair<std::string, std::string> seed{"seed", "of the random numbers (1)"};
  return {
      {"model", "The model's own rule, with another k", {k}},
      {"softmax_top_k",
       "Softmax over all experts, then top-k",
       {k, renormalise, {"scale", "factor on the weights (1)"}}},
      {"top_k_softmax", "Top-k, then softmax over the chosen", {k}},
      {"sigmoid_top_k",
       "Sigmoid of each logit, then top-k",
       {k, {"renormalise", "divide the chosen weights by their sum (true)"}, {"scale", "factor on the weights (1)"}}},
      {"top_p",
       "The smallest set of experts whose probability exceeds p",
       {{"p", "cumulative probability, 0 to 1 (0.4)"}, {"most", "at most this many experts (all)"}, renormalise}},
      {"null_experts",
       "Top-k with experts that compute nothing",
       {{"nulls", "null experts added, with copies of the true logits (E)"},
        {"k", "experts per token, nulls included (2k)"}}},
      {"random",
       "Experts drawn at random, without a gate",
       {k,
        seed,
        {"by", "token: a draw for each token; sequence: one for each sequence (token)"},
        {"weights", "uniform: 1/k; gate: the model's probabilities of the drawn experts (uniform)"}}},
      {"frozen_random", "Top-k of a fixed random projection of the logits, softmax over the chosen", {k, seed}},
      {"hash", "Experts fixed by the token's id", {k, seed}},
      {"expert_choice",
       "Each expert takes its best tokens of each sequence",
       {{"capacity", "factor on tokens · k / E per expert (1)"}, {"score", "sigmoid or softmax (sigmoid)"}, k}},
  };
}

}  // namespace

const std::vector<RouterFamily>& router_families() {
  static const std::vector<RouterFamily> all = families();
  return all;
}

Expected<std::shared_ptr<const Router>> make_router(const std::string& family, const json& params,
                                                    const RouterModel& model) {
  const auto& all = router_families();
  const auto found = std::find_if(all.begin(), all.end(), [&](const RouterFamily& f) { return f.name == family; });
  if (found == all.end()) {
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const RouterFamily& f : all) names.push_back(f.name);
    return fail(ErrorKind::usage, fmt::format("unknown router \"{}\"", family), "",
                fmt::format("Known: {}", fmt::join(names, ", ")));
  }
  Params p(params, *found);
  const std::size_t experts = model.experts, most = std::min(experts, most_slots);
  TokenChoiceOptions o;
  o.k = family == "null_experts" || family == "top_p" ? 1 : p.count("k", model.k, 1, most);
  if (family == "model") {
    if (model.rule.score == RouterRule::Score::sparsemixer && o.k != model.k) {
      return fail(ErrorKind::usage, "sparsemixer chooses exactly two experts", "router model, k");
    }
  } else if (family == "softmax_top_k") {
    o.renormalise = p.flag("renormalise", false);
    o.scale = p.number("scale", 1.0, 0.0, 1e6);
    o.words = fmt::format("softmax, then top {}{}", o.k, o.renormalise ? ", renormalised" : "");
  } else if (family == "top_k_softmax") {
    o.weigh = Weigh::score_of_chosen;
    o.words = fmt::format("top {}, then softmax over them", o.k);
  } else if (family == "sigmoid_top_k") {
    o.score = RouterRule::Score::sigmoid;
    o.renormalise = p.flag("renormalise", true);
    o.scale = p.number("scale", 1.0, 0.0, 1e6);
    o.words = fmt::format("sigmoid, then top {}{}", o.k, o.renormalise ? ", renormalised" : "");
  } else if (family == "top_p") {
    o.top_p = p.number("p", 0.4, 0.0, 1.0);
    o.k = p.count("most", most, 1, most);
    o.renormalise = p.flag("renormalise", false);
    o.words =
        fmt::format("softmax, then the smallest set above p = {}{}", *o.top_p, o.renormalise ? ", renormalised" : "");
  } else if (family == "null_experts") {
    o.nulls = static_cast<std::uint32_t>(p.count("nulls", experts, 0, 65535 - std::min<std::size_t>(experts, 65535)));
    const std::size_t total = std::min(experts + o.nulls, most_slots);
    o.k = p.count("k", std::min<std::size_t>(total, o.nulls == 0 ? model.k : 2 * std::size_t{model.k}), 1, total);
    o.renormalise = true;
    o.words = fmt::format("softmax over {} experts and {} null ones, top {}, renormalised over the true", experts,
                          o.nulls, o.k);
  } else if (family == "random") {
    o.rank = p.choice("by", {"token", "sequence"}) == "token" ? Rank::random_by_token : Rank::random_by_sequence;
    o.weigh = p.choice("weights", {"uniform", "gate"}) == "uniform" ? Weigh::uniform : Weigh::score;
    o.words = fmt::format("{} drawn at random", o.k);
  } else if (family == "frozen_random") {
    o.rank = Rank::projected;
    o.weigh = Weigh::score_of_chosen;
    o.words = fmt::format("top {} of a fixed random gate, then softmax over them", o.k);
  } else if (family == "hash") {
    o.rank = Rank::hash;
    o.weigh = Weigh::uniform;
    o.words = fmt::format("{} fixed by the token's id", o.k);
  }
  if (std::any_of(found->params.begin(), found->params.end(), [](const auto& q) { return q.first == "seed"; })) {
    o.seed = p.count("seed", 1, 0, std::size_t{1} << 52U);
  }
  ExpertChoiceOptions choice;
  if (family == "expert_choice") {
    choice.capacity = p.number("capacity", 1.0, 0.0, 1e6);
    choice.k = o.k;
    choice.score = p.choice("score", {"sigmoid", "softmax"}) == "sigmoid" ? RouterRule::Score::sigmoid
                                                                          : RouterRule::Score::softmax;
    choice.words = fmt::format("each expert takes its best tokens, capacity {}", choice.capacity);
    if (experts > most_slots)
      return fail(ErrorKind::usage, "expert choice needs at most 249 experts", "router expert_choice");
  }
  if (!p.error().empty()) return fail(p.as_error());
  if (family == "model") return make_model_router(model.experts, o.k, model.rule);
  if (family == "expert_choice") return make_expert_choice(model.experts, std::move(choice));
  return make_token_choice(model.experts, std::move(o));
}

}  // namespace moescope
