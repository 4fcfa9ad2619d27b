// Model card: what the checkpoint is, where its parameters are, what it needs, and what each layer does.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/analysis/weights/weight_tools.h"

namespace moescope {
namespace {

const char* mixer_name(Mixer mixer) {
  switch (mixer) {
    case Mixer::latent_attention:
      return "latent attention";
    case Mixer::mamba:
      return "mamba";
    default:
      return "attention";
  }
}

std::string sight(const LayerSpec& layer) {
  if (layer.mixer == Mixer::mamba) return "all before";
  std::string words = layer.window > 0  ? fmt::format("window {}", layer.window)
                      : layer.chunk > 0 ? fmt::format("chunks of {}", layer.chunk)
                                        : std::string("all before");
  return layer.rope ? words : words + ", no rotation";
}

// Parts of a model, in the order of the table.
enum class Part : std::uint8_t { embeddings, mixers, routers, routed, shared, dense, norms };
constexpr std::array<const char*, 7> share_names{"embedding and head", "attention",    "routers", "routed experts",
                                                 "shared experts",     "dense layers", "norms"};

Part part_of(WeightRole role) {
  using R = WeightRole;
  if (is_expert_role(role)) return Part::routed;
  switch (role) {
    case R::embedding:
    case R::lm_head:
    case R::lm_head_bias:
      return Part::embeddings;
    case R::final_norm:
    case R::final_norm_bias:
    case R::input_norm:
    case R::input_norm_bias:
    case R::post_norm:
    case R::post_norm_bias:
      return Part::norms;
    case R::router:
    case R::router_bias:
    case R::selection_bias:
      return Part::routers;
    case R::shared_gate:
    case R::shared_up:
    case R::shared_down:
    case R::shared_expert_gate:
      return Part::shared;
    case R::dense_gate:
    case R::dense_up:
    case R::dense_down:
      return Part::dense;
    default:
      return Part::mixers;
  }
}

Table layer_table(const ModelSpec& spec) {
  Table table{"layers",
              "Layers",
              {{"layer", ""},
               {"mixer", ""},
               {"sees", ""},
               {"kind", ""},
               {"experts", ""},
               {"per token", ""},
               {"shared", ""},
               {"width", ""},
               {"router", ""}},
              {}};
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    const LayerSpec& layer = spec.layers[l];
    const bool moe = layer.kind == LayerKind::moe;
    const auto number = [&](std::uint32_t n) { return moe ? Table::Cell(std::int64_t{n}) : Table::Cell(); };
    table.rows.push_back({static_cast<std::int64_t>(l), mixer_name(layer.mixer), sight(layer),
                          moe ? "experts" : "dense", number(layer.experts), number(layer.k), number(layer.shared),
                          std::int64_t{layer.intermediate},
                          moe ? Table::Cell(router_rule_words(layer.rule, layer.k)) : Table::Cell()});
  }
  return table;
}

Expected<Result> run_card(const CheckpointInput& input) {
  const Checkpoint& checkpoint = input.checkpoint;
  const ModelSpec& spec = checkpoint.spec();
  Result result;
  result.title = "Model card of " + spec.name;
  std::array<std::uint64_t, share_names.size()> total{}, active{};
  for_each_weight(spec, [&](const WeightUse& use) {
    const auto part = static_cast<std::size_t>(part_of(use.role));
    const std::uint64_t n = use.role == WeightRole::selection_bias ? 0 : use.rows * use.columns;
    total[part] += n;
    if (!is_expert_role(use.role) || use.expert < spec.layers[use.layer].k) active[part] += n;
    return true;
  });
  Table parts{"parts", "Parameters by part", {{"part", ""}, {"in all", ""}, {"per token", ""}, {"share", "%", 2}}, {}};
  const auto all = static_cast<double>(spec.parameters_total());
  const bool has_mamba = std::any_of(spec.layers.begin(), spec.layers.end(),
                                     [](const LayerSpec& layer) { return layer.mixer == Mixer::mamba; });
  for (std::size_t p = 0; p < share_names.size(); ++p) {
    if (total[p] == 0) continue;
    std::string name = share_names[p];
    if (has_mamba && p == static_cast<std::size_t>(Part::mixers)) name += " and mamba";
    parts.rows.push_back({std::move(name), static_cast<std::int64_t>(total[p]), static_cast<std::int64_t>(active[p]),
                          100.0 * static_cast<double>(total[p]) / all});
  }
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> types;
  for (const auto& [name, view] : checkpoint.tensors()) {
    auto& [tensors, bytes] = types[dtype_name(view.type)];
    ++tensors;
    bytes += static_cast<std::int64_t>(view.bytes.size());
  }
  Table stored{"stored", "Stored types", {{"type", ""}, {"tensors", ""}, {"bytes", "B"}}, {}};
  for (const auto& [name, counts] : types) stored.rows.push_back({name, counts.first, counts.second});
  Table memory{"memory", "Memory of the weights", {{"computed in", ""}, {"whole model", "B"}, {"per token", "B"}}, {}};
  for (const auto& [name, bytes] : {std::pair{"float32", 4}, {"bfloat16", 2}, {"8 bits", 1}}) {
    memory.rows.push_back({std::string(name), static_cast<std::int64_t>(spec.parameters_total()) * bytes,
                           static_cast<std::int64_t>(spec.parameters_active()) * bytes});
  }
  const auto scalar = [&](const char* name, const char* title, std::uint64_t value) {
    result.scalars.push_back({name, title, "", "", {static_cast<double>(value)}});
  };
  scalar("parameters_total", "Parameters", spec.parameters_total());
  scalar("parameters_active", "Parameters used per token", spec.parameters_active());
  scalar("bytes", "Bytes in the files", checkpoint.total_bytes());
  result.tables = {std::move(parts), std::move(memory), std::move(stored), layer_table(spec)};
  for (const std::string& note : checkpoint.notes()) result.caveats.push_back(note);
  for (const auto& [key, note] : spec.notes) result.caveats.push_back(fmt::format("{}: {}", key, note));
  return result;
}

}  // namespace

CheckpointAnalysisSpec model_card_analysis() {
  return {{"model_card", "Model card", "Parameters, memory and what each layer does", 1, {}, {}, {}}, run_card};
}

}  // namespace moescope
