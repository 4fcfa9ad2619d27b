#include <fmt/format.h>

#include <set>

#include "app/cli/describe.h"

namespace moescope::cli {
namespace {

// "48", or "48 to 96" when layers differ.
std::string range(const std::vector<LayerSpec>& layers, std::uint32_t LayerSpec::*member) {
  std::uint32_t low = layers.front().*member, high = low;
  for (const LayerSpec& layer : layers) {
    low = std::min(low, layer.*member);
    high = std::max(high, layer.*member);
  }
  return low == high ? std::to_string(low) : fmt::format("{} to {}", low, high);
}

}  // namespace

Description describe_checkpoint(const Checkpoint& checkpoint) {
  const ModelSpec& spec = checkpoint.spec();
  std::vector<LayerSpec> moe;
  for (const LayerSpec& layer : spec.layers) {
    if (layer.kind == LayerKind::moe) moe.push_back(layer);
  }
  std::set<std::string> types, files;
  for (const auto& [name, view] : checkpoint.tensors()) {
    types.insert(dtype_name(view.type));
    files.insert(view.file);
  }
  Facts facts(fmt::format("Checkpoint {}", spec.name));
  facts.add("folder", checkpoint.folder().string());
  facts.add("family", spec.family);
  facts.add("layers", fmt::format("{}, {} of them with experts", spec.layers.size(), moe.size()));
  if (spec.encoder_layers > 0) {
    facts.add("stacks", fmt::format("encoder of {} layers, decoder of {}", spec.encoder_layers,
                                    spec.layers.size() - spec.encoder_layers));
  }
  nlohmann::json router;
  if (!moe.empty()) {
    router = router_rule_words(moe.front().rule, moe.front().k);
    facts.add("experts", fmt::format("{} per layer, {} chosen per token, {} shared, width {}",
                                     range(moe, &LayerSpec::experts), range(moe, &LayerSpec::k),
                                     range(moe, &LayerSpec::shared), range(moe, &LayerSpec::intermediate)));
    facts.add("router", router.get<std::string>());
  }
  facts.add("attention", fmt::format("{} heads of {}, {} key-value heads", spec.heads, spec.head_dim, spec.kv_heads));
  facts.add("hidden size", std::to_string(spec.hidden));
  facts.add("vocabulary", fmt::format("{} tokens{}", with_commas(spec.vocabulary),
                                      spec.tied_embeddings ? ", output layer tied to the embedding" : ""));
  facts.add("positions", spec.relative.buckets == 0 ? with_commas(spec.max_positions)
                                                    : fmt::format("relative, {} buckets up to a distance of {}",
                                                                  spec.relative.buckets, spec.relative.max_distance));
  facts.add("parameters", fmt::format("{} in all, {} per token", with_commas(spec.parameters_total()),
                                      with_commas(spec.parameters_active())));
  facts.add("weights", fmt::format("{}, {} in {} file{}", joined({types.begin(), types.end()}),
                                   byte_words(checkpoint.total_bytes()), files.size(), files.size() == 1 ? "" : "s"));
  const Tokenizer* tokenizer = checkpoint.tokenizer();
  facts.add("tokenizer", tokenizer                      ? tokenizer->description()
                         : checkpoint.tokenizer_error() ? "cannot be read: " + checkpoint.tokenizer_error()->text()
                                                        : "none; runs take token ids");
  facts.add("config hash", checkpoint.config_hash());
  if (!checkpoint.notes().empty()) facts.add("notes", joined(checkpoint.notes(), "\n"));

  nlohmann::json layers = nlohmann::json::array();
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    const LayerSpec& layer = spec.layers[l];
    layers.push_back({{"kind", layer.kind == LayerKind::moe ? "moe" : "dense"},
                      {"block", spec.is_encoder(l) ? "encoder" : "decoder"},
                      {"experts", layer.experts},
                      {"k", layer.k},
                      {"shared", layer.shared},
                      {"intermediate", layer.intermediate}});
  }
  nlohmann::json json{{"kind", "checkpoint"},
                      {"folder", checkpoint.folder().string()},
                      {"name", spec.name},
                      {"family", spec.family},
                      {"router", router},
                      {"hidden", spec.hidden},
                      {"heads", spec.heads},
                      {"kv_heads", spec.kv_heads},
                      {"head_dim", spec.head_dim},
                      {"vocabulary", spec.vocabulary},
                      {"positions", spec.max_positions},
                      {"tied_embeddings", spec.tied_embeddings},
                      {"layers", layers},
                      {"parameters_total", spec.parameters_total()},
                      {"parameters_active", spec.parameters_active()},
                      {"dtypes", types},
                      {"bytes", checkpoint.total_bytes()},
                      {"files", files},
                      {"tokenizer", tokenizer ? nlohmann::json(tokenizer->description()) : nlohmann::json()},
                      {"config_hash", checkpoint.config_hash()},
                      {"notes", checkpoint.notes()}};
  return {std::move(facts), std::move(json)};
}

}  // namespace moescope::cli
