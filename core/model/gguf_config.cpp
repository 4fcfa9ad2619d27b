#include "core/model/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "core/base/utf8.h"
#include "core/io/tensor_decode.h"

// Keys and what each architecture hard-wires: checkpoints.md, sections 3.3, 3.5 and 7.3.
namespace moescope {
namespace {

using Json = nlohmann::json;

constexpr const char* convert_again = "Convert the model again, or open its Hugging Face folder";
// Its writers store 0.1 times the factor.
constexpr double yarn_log_step = 0.1;

// Reads keys below the architecture's prefix; the first problem is kept.
class Metadata {
 public:
  Metadata(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)), where_(file.files.front()->path().string()) {
    for (const TensorView& tensor : file.tensors) tensors_.emplace(tensor.name, &tensor);
  }

  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  [[nodiscard]] const GgufValue* find(const std::string& key) const { return file_.find(architecture_ + "." + key); }
  [[nodiscard]] bool has(const std::string& key) const { return find(key) != nullptr; }
  [[nodiscard]] const TensorView* tensor(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
  }

  void refuse(const std::string& key, std::string what) {
    if (!error_) {
      error_ =
          Error{ErrorKind::input, std::move(what), fmt::format("{}, {}.{}", where_, architecture_, key), convert_again};
    }
  }

  // A whole number, not below zero, that must be there; an array per layer must hold the same everywhere. Unsigned, as
  // the family's reader wants counts.
  std::uint64_t count(const std::string& key) {
    const GgufValue* const value = find(key);
    if (value == nullptr) {
      refuse(key, "the metadata lacks this key");
      return 1;
    }
    return whole(key, *value);
  }
  std::uint64_t count_or(const std::string& key, std::uint64_t fallback) {
    const GgufValue* const value = find(key);
    return value == nullptr ? fallback : whole(key, *value);
  }
  double real_or(const std::string& key, double fallback) {
    const GgufValue* const value = find(key);
    if (value == nullptr) return fallback;
    if (!value->real()) refuse(key, "the metadata has another kind of value where a number is needed");
    return value->real().value_or(fallback);
  }
  bool flag_or(const std::string& key, bool fallback) {
    const GgufValue* const value = find(key);
    return value == nullptr ? fallback : value->boolean().value_or(fallback);
  }
  std::string text_or(const std::string& key, const std::string& fallback) {
    const GgufValue* const value = find(key);
    return value == nullptr || value->text() == nullptr || !is_valid_utf8(*value->text()) ? fallback : *value->text();
  }

  // Size of dimension `dim` of the first tensor of this name in any layer; nothing when there is none.
  std::optional<std::uint64_t> extent(const std::string& name, std::size_t dim) const {
    for (const auto& [full, view] : tensors_) {
      if (full.starts_with("blk.") && full.ends_with("." + name) && dim < view->shape.size()) return view->shape[dim];
    }
    return std::nullopt;
  }

 private:
  const GgufFile& file_;
  std::string architecture_, where_;
  std::map<std::string, const TensorView*> tensors_;
  std::optional<Error> error_;

  std::uint64_t whole(const std::string& key, const GgufValue& value) {
    auto number = value.integer();
    if (const auto* list = value.integers(); list != nullptr && !list->empty()) {
      const bool same = std::all_of(list->begin(), list->end(), [list](auto n) { return n == list->front(); });
      if (!same) refuse(key, "the layers differ, which is not supported");
      number = list->front();
    }
    if (!number || *number < 0) refuse(key, "the metadata has another kind of value where a whole number is needed");
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number.value_or(1)));
  }
};

// Values of one tensor of numbers, as JSON.
Json numbers_of(const TensorView& tensor) {
  constexpr std::uint64_t most = 65536;
  Json out = Json::array();
  if (tensor.elements() > most) return out;
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  if (!decode_tensor(tensor, 0, values)) return out;
  for (const float value : values) out.push_back(value);
  return out;
}

void add_rope(Metadata& meta, Json& out) {
  out["rope_theta"] = meta.real_or("rope.freq_base", 10000.0);
  const std::string type = meta.text_or("rope.scaling.type", "none");
  if (type == "linear" || type == "yarn") {
    Json scaling{{"rope_type", type}, {"factor", meta.real_or("rope.scaling.factor", 1.0)}};
    if (meta.has("rope.scaling.original_context_length")) {
      scaling["original_max_position_embeddings"] = meta.count("rope.scaling.original_context_length");
    }
    if (type == "yarn") {
      scaling["beta_fast"] = meta.real_or("rope.scaling.yarn_beta_fast", 32.0);
      scaling["beta_slow"] = meta.real_or("rope.scaling.yarn_beta_slow", 1.0);
      if (meta.has("rope.scaling.yarn_log_multiplier")) {
        const double mscale = meta.real_or("rope.scaling.yarn_log_multiplier", 0.0) / yarn_log_step;
        scaling["mscale"] = mscale;
        scaling["mscale_all_dim"] = mscale;
      }
    }
    out["rope_scaling"] = std::move(scaling);
  } else if (type != "none") {
    meta.refuse("rope.scaling.type", fmt::format("the scaling \"{}\" of positions is not read from GGUF files", type));
  } else if (const TensorView* const factors = meta.tensor("rope_freqs.weight")) {
    // One divisor for each frequency.
    const Json divisors = numbers_of(*factors);
    out["rope_scaling"] = {{"rope_type", "longrope"},
                           {"short_factor", divisors},
                           {"long_factor", divisors},
                           {"attention_factor", 1.0},
                           {"original_max_position_embeddings", out["max_position_embeddings"]}};
  }
}

// What all architectures have in common.
Json common_config(Metadata& meta) {
  Json out;
  const TensorView* const embedding = meta.tensor("token_embd.weight");
  const bool rows = embedding != nullptr && embedding->shape.size() == 2;
  out["vocab_size"] = rows ? embedding->shape[0] : meta.count("vocab_size");
  out["hidden_size"] = meta.count("embedding_length");
  // Layers that predict further tokens are counted, and come last.
  const std::uint64_t blocks = meta.count("block_count");
  out["num_hidden_layers"] = blocks - std::min(blocks, meta.count_or("nextn_predict_layers", 0));
  out["num_attention_heads"] = meta.count("attention.head_count");
  out["num_key_value_heads"] =
      meta.count_or("attention.head_count_kv", out["num_attention_heads"].get<std::uint64_t>());
  out["max_position_embeddings"] = meta.count_or("context_length", 4096);
  out["rms_norm_eps"] = meta.real_or("attention.layer_norm_rms_epsilon", 1e-6);
  out["tie_word_embeddings"] = meta.tensor("output.weight") == nullptr;
  out["attention_bias"] = meta.tensor("blk.0.attn_q.bias") != nullptr;
  out["hidden_act"] = "silu";
  add_rope(meta, out);
  return out;
}

// Heads of one width for queries, keys and values, rotated whole.
void add_plain_heads(Metadata& meta, Json& out) {
  if (!meta.has("attention.key_length")) return;
  const std::uint64_t width = meta.count("attention.key_length");
  if (meta.count_or("attention.value_length", width) != width) {
    meta.refuse("attention.value_length", "values are of another width than keys, which is not supported");
  }
  out["head_dim"] = width;
}

void require_whole_rotation(Metadata& meta, const Json& out) {
  const auto heads = std::max<std::uint64_t>(1, out["num_attention_heads"].get<std::uint64_t>());
  const auto width =
      out.contains("head_dim") ? out["head_dim"].get<std::uint64_t>() : out["hidden_size"].get<std::uint64_t>() / heads;
  if (meta.count_or("rope.dimension_count", width) != width) {
    meta.refuse("rope.dimension_count", "only a part of each head is rotated, which this architecture does not do");
  }
}

// Inner width of an expert: its own key, else the rows of its tensor, else the key of all layers.
std::uint64_t expert_width(Metadata& meta) {
  if (meta.has("expert_feed_forward_length")) return meta.count("expert_feed_forward_length");
  if (const auto rows = meta.extent("ffn_gate_exps.weight", 1)) return *rows;
  return meta.count("feed_forward_length");
}

void add_experts(Metadata& meta, Json& out, const char* key) {
  out[key] = meta.count("expert_count");
  out["num_experts_per_tok"] = meta.count("expert_used_count");
}

// Layers without a router, where any layer may be dense.
Json dense_layers(Metadata& meta, const Json& out) {
  constexpr std::uint64_t most = 4096;
  Json list = Json::array();
  const auto layers = std::min(most, out["num_hidden_layers"].get<std::uint64_t>());
  for (std::uint64_t layer = 0; layer < layers; ++layer) {
    if (meta.tensor(fmt::format("blk.{}.ffn_gate_inp.weight", layer)) == nullptr) list.push_back(layer);
  }
  return list;
}

void mixtral(Metadata& meta, Json& out) {
  out["model_type"] = "mixtral";
  add_plain_heads(meta, out);
  require_whole_rotation(meta, out);
  add_experts(meta, out, "num_local_experts");
  out["intermediate_size"] = expert_width(meta);
}

void olmoe(Metadata& meta, Json& out) {
  out["model_type"] = "olmoe";
  require_whole_rotation(meta, out);
  add_experts(meta, out, "num_experts");
  out["intermediate_size"] = expert_width(meta);
  out["norm_topk_prob"] = meta.flag_or("expert_weights_norm", false);
  if (meta.has("attention.clamp_kqv")) out["clip_qkv"] = meta.real_or("attention.clamp_kqv", 0.0);
}

void qwen(Metadata& meta, Json& out, bool third) {
  out["model_type"] = third ? "qwen3_moe" : "qwen2_moe";
  add_plain_heads(meta, out);
  require_whole_rotation(meta, out);
  add_experts(meta, out, "num_experts");
  out["intermediate_size"] = meta.count_or("feed_forward_length", 1);
  out["moe_intermediate_size"] = expert_width(meta);
  out["mlp_only_layers"] = dense_layers(meta, out);
  out["norm_topk_prob"] = meta.flag_or("expert_weights_norm", third);
  if (third) return;
  out["qkv_bias"] = out["attention_bias"];
  const auto rows = meta.extent("ffn_gate_shexp.weight", 0);
  out["shared_expert_intermediate_size"] = meta.count_or("expert_shared_feed_forward_length", rows.value_or(0));
}

// Groups, scaling and shared experts of DeepSeek's kind.
void add_deepseek_experts(Metadata& meta, Json& out) {
  add_experts(meta, out, "n_routed_experts");
  out["n_shared_experts"] = meta.count_or("expert_shared_count", 0);
  out["moe_intermediate_size"] = expert_width(meta);
  out["intermediate_size"] = meta.count_or("feed_forward_length", 1);
  out["first_k_dense_replace"] = meta.count_or("leading_dense_block_count", 0);
  const double scale = meta.real_or("expert_weights_scale", 1.0);
  out["routed_scaling_factor"] = scale == 0.0 ? 1.0 : scale;  // old writers: 0 for none
  out["norm_topk_prob"] = meta.flag_or("expert_weights_norm", false);
  out["n_group"] = std::max<std::uint64_t>(1, meta.count_or("expert_group_count", 1));
  out["topk_group"] = std::max<std::uint64_t>(1, meta.count_or("expert_group_used_count", 1));
}

void deepseek(Metadata& meta, Json& out) {
  constexpr std::uint64_t softmax = 1, sigmoid = 2;
  add_deepseek_experts(meta, out);
  const bool biased = meta.extent("exp_probs_b.bias", 0).has_value();
  const std::uint64_t scoring = meta.count_or("expert_gating_func", biased ? sigmoid : softmax);
  if (scoring != softmax && scoring != sigmoid) {
    meta.refuse("expert_gating_func", fmt::format("scores of kind {} are not known for this architecture", scoring));
  }
  out["model_type"] = scoring == sigmoid ? "deepseek_v3" : "deepseek_v2";
  if (scoring == softmax) out["topk_method"] = out["n_group"] > 1 ? "group_limited_greedy" : "greedy";
  out["num_key_value_heads"] = out["num_attention_heads"];  // the file states the one latent head
  out["kv_lora_rank"] = meta.count("attention.kv_lora_rank");
  if (meta.has("attention.q_lora_rank")) out["q_lora_rank"] = meta.count("attention.q_lora_rank");
  const std::uint64_t rotated = meta.count("rope.dimension_count");
  const bool latent = meta.has("attention.key_length_mla");
  const std::uint64_t key = meta.count(latent ? "attention.key_length_mla" : "attention.key_length");
  if (key <= rotated) meta.refuse("attention.key_length", "keys are no wider than their rotated part");
  out["qk_rope_head_dim"] = rotated;
  out["qk_nope_head_dim"] = key - std::min(key, rotated);
  out["v_head_dim"] = meta.count(latent ? "attention.value_length_mla" : "attention.value_length");
  out["attention_bias"] = meta.tensor("blk.0.attn_q_a.bias") != nullptr;
}

void glm(Metadata& meta, Json& out) {
  out["model_type"] = "glm4_moe";
  add_plain_heads(meta, out);
  add_deepseek_experts(meta, out);
  out["norm_topk_prob"] = meta.flag_or("expert_weights_norm", true);
  out["use_qk_norm"] = meta.tensor("blk.0.attn_q_norm.weight") != nullptr;
  const auto width = static_cast<double>(std::max<std::uint64_t>(1, meta.count("attention.key_length")));
  out["partial_rotary_factor"] = static_cast<double>(meta.count("rope.dimension_count")) / width;
}

void granite(Metadata& meta, Json& out) {
  const auto shared = meta.extent("ffn_gate_shexp.weight", 0);
  out["model_type"] = shared ? "granitemoeshared" : "granitemoe";
  if (shared) out["shared_intermediate_size"] = *shared;
  add_plain_heads(meta, out);
  require_whole_rotation(meta, out);
  add_experts(meta, out, "num_local_experts");
  out["intermediate_size"] = expert_width(meta);
  const auto copy = [&](const char* from, const char* to) {
    if (meta.has(from)) out[to] = meta.real_or(from, 1.0);
  };
  copy("embedding_scale", "embedding_multiplier");
  copy("attention.scale", "attention_multiplier");
  copy("residual_scale", "residual_multiplier");
  copy("logit_scale", "logits_scaling");
}

void gpt_oss(Metadata& meta, Json& out) {
  out["model_type"] = "gpt_oss";
  add_plain_heads(meta, out);
  require_whole_rotation(meta, out);
  add_experts(meta, out, "num_local_experts");
  out["intermediate_size"] = expert_width(meta);
  out["sliding_window"] = meta.count_or("attention.sliding_window", 128);
  // The file does not say so; released models do not round the ramp's ends.
  if (out.contains("rope_scaling")) out["rope_scaling"]["truncate"] = false;
}

struct Architecture {
  const char* name;
  void (*add)(Metadata& meta, Json& out);
};

constexpr std::array architectures{Architecture{"llama", mixtral},
                                   Architecture{"olmoe", olmoe},
                                   Architecture{"qwen2moe", [](Metadata& meta, Json& out) { qwen(meta, out, false); }},
                                   Architecture{"qwen3moe", [](Metadata& meta, Json& out) { qwen(meta, out, true); }},
                                   Architecture{"deepseek2", deepseek},
                                   Architecture{"glm4moe", glm},
                                   Architecture{"granitemoe", granite},
                                   Architecture{"gpt-oss", gpt_oss}};

}  // namespace

Expected<Json> gguf_config(const GgufFile& file) {
  const std::string where = file.files.front()->path().string();
  const GgufValue* const named = file.find("general.architecture");
  const std::string name =
      named == nullptr || named->text() == nullptr || !is_valid_utf8(*named->text()) ? std::string() : *named->text();
  for (const Architecture& architecture : architectures) {
    if (name != architecture.name) continue;
    Metadata meta(file, name);
    if (meta.count_or("expert_count", 0) <= 0) {
      return fail(ErrorKind::input, "this model has no experts, so there is no routing to look at", where,
                  "Open a mixture-of-experts model");
    }
    Json out = common_config(meta);
    architecture.add(meta, out);
    if (meta.error()) return fail(*meta.error());
    return out;
  }
  std::string known;
  for (const Architecture& architecture : architectures)
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  return fail(ErrorKind::input, fmt::format("GGUF models of the architecture \"{}\" are not read", name), where,
              fmt::format("Known: {}. Open the model's Hugging Face folder instead", known));
}

}  // namespace moescope
