#include "core/model/families/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace moescope {
namespace {

std::vector<ModelFamily>& table() {
  static std::vector<ModelFamily> families;
  return families;
}

// Types that do have experts, so that the error says "not yet" instead of "never heard of it".
constexpr std::array<std::string_view, 26> types_with_experts{"granitemoehybrid",
                                                              "openmoe",
                                                              "open_moe",
                                                              "openmoe_llama",
                                                              "llama_moe",
                                                              "ernie4_5_moe",
                                                              "hunyuan_v1_moe",
                                                              "minimax",
                                                              "minimax_m1",
                                                              "minimax_m2",
                                                              "qwen3_next",
                                                              "qwen3_5_moe",
                                                              "qwen3_vl_moe",
                                                              "lfm2_moe",
                                                              "dots1",
                                                              "longcat_flash",
                                                              "flex_olmo",
                                                              "jetmoe",
                                                              "arctic",
                                                              "grok-1",
                                                              "aria",
                                                              "nllb-moe",
                                                              "bailing_moe",
                                                              "bailing_moe_v2",
                                                              "afmoe",
                                                              "deepseek"};

std::string known_families() {
  std::string names;
  for (const ModelFamily& family : model_families()) names += (names.empty() ? "" : ", ") + family.name;
  return names;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

RegisterFamily::RegisterFamily(ModelFamily family) {
  // In the order of their names, whatever order the linker gave the files.
  const auto at =
      std::find_if(table().begin(), table().end(), [&](const ModelFamily& f) { return f.name > family.name; });
  table().insert(at, std::move(family));
}

const std::vector<ModelFamily>& model_families() {
  return table();
}

const ModelFamily* find_family(const std::string& name) {
  const auto it = std::find_if(table().begin(), table().end(), [&](const ModelFamily& f) { return f.name == name; });
  return it == table().end() ? nullptr : &*it;
}

Expected<const ModelFamily*> family_of_config(ConfigReader& config) {
  const std::string type = config.text_or("model_type", "");
  const std::vector<std::string> architectures = config.texts("architectures");
  if (config.error()) return fail(*config.error());
  for (const ModelFamily& family : table()) {
    if (!type.empty() && contains(family.model_types, type)) return &family;
  }
  for (const ModelFamily& family : table()) {
    for (const std::string& name : architectures) {
      if (contains(family.architectures, name)) return &family;
    }
  }
  const std::string advice = fmt::format("Families that can be opened: {}", known_families());
  if (type.empty() && architectures.empty()) {
    config.refuse("model_type", "the config names neither a model_type nor an architecture", advice);
  } else if (std::find(types_with_experts.begin(), types_with_experts.end(), type) != types_with_experts.end()) {
    config.refuse("model_type", "this mixture-of-experts family is recognised but cannot be opened by this version",
                  advice);
  } else {
    config.refuse(type.empty() ? "architectures" : "model_type", "the model family is not known", advice);
  }
  return fail(*config.error());
}

}  // namespace moescope
