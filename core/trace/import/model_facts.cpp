#include "core/trace/import/model_facts.h"

#include <fmt/format.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "core/base/hash.h"
#include "core/io/json_text.h"
#include "core/io/output_file.h"

namespace moescope {
namespace {

using Json = nlohmann::json;
constexpr std::size_t config_limit = std::size_t{16} << 20U;
constexpr std::int64_t layer_limit = 10'000;
constexpr std::int64_t expert_limit = 65'535;

// Whole numbers and truth values under the first of several names; the first that is wrong is remembered.
class Config {
 public:
  Config(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  std::optional<std::int64_t> number(std::initializer_list<const char*> names, std::int64_t highest) {
    for (const char* name : names) {
      const auto found = json_.find(name);
      if (found == json_.end() || found->is_null()) continue;
      if (found->is_number_integer() && *found >= 0 && *found <= highest) return found->get<std::int64_t>();
      if (!problem_) {
        problem_ = Error{ErrorKind::input, fmt::format("'{}' is not a whole number from 0 to {}", name, highest),
                         where_, "Use the config.json that came with the model"};
      }
      return std::nullopt;
    }
    return std::nullopt;
  }
  std::string text(const char* name) {
    const auto found = json_.find(name);
    return found != json_.end() && found->is_string() ? found->get<std::string>() : std::string{};
  }
  bool flag(const char* name) {
    const auto found = json_.find(name);
    return found != json_.end() && found->is_boolean() && found->get<bool>();
  }
  const Json* list(const char* name) {
    const auto found = json_.find(name);
    return found != json_.end() && found->is_array() ? &*found : nullptr;
  }
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

 private:
  const Json& json_;
  std::string where_;
  std::optional<Error> problem_;
};

// Which layers have experts, by the keys of the families that leave some dense.
std::vector<bool> moe_layers(Config& config, std::int64_t layers) {
  std::vector<bool> moe(static_cast<std::size_t>(layers), true);
  const auto dense_first = config.number({"first_k_dense_replace"}, layer_limit).value_or(0);
  for (std::int64_t l = 0; l < std::min(dense_first, layers); ++l) moe[static_cast<std::size_t>(l)] = false;
  const auto keep = [&](std::int64_t step, std::int64_t rest) {
    for (std::int64_t l = 0; step > 1 && l < layers; ++l) {
      if (l % step != rest) moe[static_cast<std::size_t>(l)] = false;
    }
  };
  if (const Json* const flags = config.list("moe_layer_freq")) {  // a list of 0 and 1
    for (std::size_t l = 0; l < std::min(moe.size(), flags->size()); ++l) {
      moe[l] = (*flags)[l].is_number_integer() && (*flags)[l] != 0;
    }
  } else {
    keep(config.number({"moe_layer_freq"}, layer_limit).value_or(1), 0);
  }
  if (const auto step = config.number({"decoder_sparse_step"}, layer_limit)) keep(*step, *step - 1);
  if (const auto step = config.number({"interleave_moe_layer_step"}, layer_limit)) keep(*step, *step - 1);
  if (const auto period = config.number({"expert_layer_period"}, layer_limit)) {
    keep(*period, config.number({"expert_layer_offset"}, layer_limit).value_or(0));
  }
  if (const Json* const dense = config.list("mlp_only_layers")) {
    for (const Json& layer : *dense) {
      if (layer.is_number_integer() && layer >= 0 && layer < layers) moe[layer.get<std::size_t>()] = false;
    }
  }
  if (const Json* const sparse = config.list("moe_layers")) {  // a list of layers
    std::vector<bool> listed(moe.size(), false);
    for (const Json& layer : *sparse) {
      if (layer.is_number_integer() && layer >= 0 && layer < layers) listed[layer.get<std::size_t>()] = true;
    }
    if (!sparse->empty()) moe = std::move(listed);
  }
  return moe;
}

}  // namespace

Expected<ModelFacts> parse_model_facts(std::string_view text, const std::string& where) {
  auto parsed = parse_json(text, where);
  if (!parsed) return fail(parsed.error());
  constexpr const char* advice = "Give the folder or the config.json of the model that the trace was recorded on";
  if (!parsed->is_object()) return fail(ErrorKind::input, "this JSON is no model config", where, advice);
  ModelFacts facts;
  {
    Config outer(*parsed, where);
    facts.name = outer.text("_name_or_path");
    facts.family = outer.text("model_type");
  }
  // Models with several parts keep the language model's settings in an object of their own.
  for (const char* part : {"text_config", "language_config", "llm_config"}) {
    const auto found = parsed->find(part);
    if (found != parsed->end() && found->is_object()) {
      const Json inner = *found;
      *parsed = inner;
      break;
    }
  }
  Config config(*parsed, where);
  const auto layers = config.number({"num_hidden_layers", "n_layers", "num_layers", "n_layer"}, layer_limit);
  const auto experts = config.number(
      {"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts", "n_experts"},
      expert_limit);
  const auto k = config.number(
      {"num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_topk", "top_k", "moe_k", "num_selects"},
      expert_limit);
  facts.shared = static_cast<std::uint32_t>(
      config.number({"n_shared_experts", "num_shared_experts", "moe_num_shared_experts"}, expert_limit).value_or(0));
  if (!layers || !experts || *layers == 0 || *experts == 0) {
    if (config.problem()) return fail(*config.problem());
    return fail(ErrorKind::input, "the config names no layers or no experts, so the model has no routers", where,
                advice);
  }
  facts.experts = static_cast<std::uint32_t>(*experts);
  facts.k = static_cast<std::uint32_t>(k.value_or(0));
  facts.moe = moe_layers(config, *layers);
  const std::string scoring = config.text("scoring_func");
  const std::string method = config.text("topk_method");
  facts.sigmoid =
      scoring == "sigmoid" || facts.family.starts_with("deepseek_v3") || facts.family.starts_with("glm4_moe");
  facts.selection_bias = method == "noaux_tc" || facts.family.starts_with("deepseek_v3") ||
                         facts.family.starts_with("glm4_moe") || config.flag("use_expert_bias");
  const auto groups = config.number({"n_group"}, expert_limit).value_or(1);
  facts.grouped = groups > 1 && config.number({"topk_group"}, expert_limit).value_or(groups) < groups;
  if (config.problem()) return fail(*config.problem());
  facts.rule = fmt::format("{}, top {}{}{}{}", facts.sigmoid ? "sigmoid" : "softmax", facts.k,
                           facts.selection_bias ? ", chosen with a bias" : "",
                           facts.grouped ? fmt::format(", limited to some of {} groups", groups) : "",
                           config.flag("norm_topk_prob") ? ", weights renormalised" : "");
  facts.config_hash = hash_hex(text);
  return facts;
}

Expected<ModelFacts> read_model_facts(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto file = std::filesystem::is_directory(path, ignored) ? path / "config.json" : path;
  const auto text = read_whole_file(file, config_limit);
  if (!text) return fail(text.error());
  auto facts = parse_model_facts(*text, file.string());
  if (facts && facts->name.empty()) {
    const auto absolute = std::filesystem::absolute(file, ignored).lexically_normal();
    facts->name = absolute.parent_path().filename().string();
  }
  return facts;
}

}  // namespace moescope
