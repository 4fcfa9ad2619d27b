#include "core/model/weight_names.h"

#include <algorithm>

namespace moescope {
namespace {

constexpr std::array<const char*, weight_role_count> role_names{"embedding",
                                                                "final_norm",
                                                                "final_norm_bias",
                                                                "lm_head",
                                                                "lm_head_bias",
                                                                "input_norm",
                                                                "input_norm_bias",
                                                                "post_norm",
                                                                "post_norm_bias",
                                                                "q",
                                                                "k",
                                                                "v",
                                                                "o",
                                                                "q_bias",
                                                                "k_bias",
                                                                "v_bias",
                                                                "o_bias",
                                                                "q_norm",
                                                                "k_norm",
                                                                "sinks",
                                                                "q_a",
                                                                "q_a_bias",
                                                                "q_a_norm",
                                                                "q_b",
                                                                "kv_a",
                                                                "kv_a_bias",
                                                                "kv_a_norm",
                                                                "kv_b",
                                                                "encoder_norm",
                                                                "relative_bias",
                                                                "cross_norm",
                                                                "cross_q",
                                                                "cross_k",
                                                                "cross_v",
                                                                "cross_o",
                                                                "mamba_in",
                                                                "mamba_in_bias",
                                                                "mamba_convolution",
                                                                "mamba_convolution_bias",
                                                                "mamba_x",
                                                                "mamba_dt",
                                                                "mamba_dt_bias",
                                                                "mamba_a_log",
                                                                "mamba_d",
                                                                "mamba_out",
                                                                "mamba_out_bias",
                                                                "mamba_dt_norm",
                                                                "mamba_b_norm",
                                                                "mamba_c_norm",
                                                                "router",
                                                                "router_bias",
                                                                "selection_bias",
                                                                "expert_gate",
                                                                "expert_up",
                                                                "expert_down",
                                                                "expert_gate_bias",
                                                                "expert_up_bias",
                                                                "expert_down_bias",
                                                                "shared_gate",
                                                                "shared_up",
                                                                "shared_down",
                                                                "shared_expert_gate",
                                                                "dense_gate",
                                                                "dense_up",
                                                                "dense_down"};

// Calls `use` until it says stop.
class Lister {
 public:
  Lister(const ModelSpec& spec, const std::function<bool(const WeightUse&)>& use) : spec_(spec), use_(use) {}

  void all() {
    outside_layers();
    for (std::uint32_t l = 0; l < spec_.layers.size() && more_; ++l) layer(l, 0, spec_.layers[l].experts);
  }

  void outside_layers() {
    add(WeightRole::embedding, spec_.vocabulary, spec_.hidden);
    norm(WeightRole::final_norm, WeightRole::final_norm_bias);
    if (spec_.encoder_layers > 0) add(WeightRole::encoder_norm, spec_.hidden);
    if (!spec_.tied_embeddings) add(WeightRole::lm_head, spec_.vocabulary, spec_.hidden);
    if (spec_.lm_head_bias) add(WeightRole::lm_head_bias, spec_.vocabulary);
  }

  // One layer with experts [first, end) of it.
  void layer(std::uint32_t index, std::uint32_t first, std::uint32_t end) {
    layer_ = index;
    const LayerSpec& layer = spec_.layers[layer_];
    norm(WeightRole::input_norm, WeightRole::input_norm_bias);
    if (layer.mixer == Mixer::attention) attention();
    if (layer.mixer == Mixer::latent_attention) latent_attention();
    if (layer.mixer == Mixer::mamba) mamba();
    if (spec_.relative.buckets > 0 && spec_.number_in_stack(index) == 0) {
      add(WeightRole::relative_bias, spec_.relative.buckets, spec_.heads);
    }
    if (spec_.encoder_layers > 0 && !spec_.is_encoder(index)) cross_attention();
    norm(WeightRole::post_norm, WeightRole::post_norm_bias);
    if (layer.kind == LayerKind::dense) {
      mlp(WeightRole::dense_gate, WeightRole::dense_up, WeightRole::dense_down, layer.intermediate);
    } else {
      experts(layer, first, end);
    }
  }

 private:
  void add(WeightRole role, std::uint64_t rows, std::uint64_t columns = 1) {
    if (more_) more_ = use_({role, layer_, expert_, rows, columns});
  }
  void norm(WeightRole weight, WeightRole bias) {
    add(weight, spec_.hidden);
    if (spec_.norm == Norm::layer) add(bias, spec_.hidden);
  }
  void mlp(WeightRole gate, WeightRole up, WeightRole down, std::uint64_t inner) {
    add(gate, inner, spec_.hidden);
    if (spec_.activation != Activation::relu) add(up, inner, spec_.hidden);
    add(down, spec_.hidden, inner);
  }
  void attention() {
    const std::uint64_t q = std::uint64_t{spec_.heads} * spec_.head_dim;
    const std::uint64_t kv = std::uint64_t{spec_.kv_heads} * spec_.head_dim;
    add(WeightRole::q, q, spec_.hidden);
    add(WeightRole::k, kv, spec_.hidden);
    add(WeightRole::v, kv, spec_.hidden);
    add(WeightRole::o, spec_.hidden, q);
    if (spec_.qkv_bias) {
      add(WeightRole::q_bias, q);
      add(WeightRole::k_bias, kv);
      add(WeightRole::v_bias, kv);
    }
    if (spec_.o_bias) add(WeightRole::o_bias, spec_.hidden);
    if (spec_.qk_norm == QkNorm::whole_width || spec_.qk_norm == QkNorm::per_head) {
      const bool whole = spec_.qk_norm == QkNorm::whole_width;
      add(WeightRole::q_norm, whole ? q : spec_.head_dim);
      add(WeightRole::k_norm, whole ? kv : spec_.head_dim);
    }
    if (spec_.attention_sinks) add(WeightRole::sinks, spec_.heads);
  }
  void cross_attention() {
    const std::uint64_t q = std::uint64_t{spec_.heads} * spec_.head_dim;
    const std::uint64_t kv = std::uint64_t{spec_.kv_heads} * spec_.head_dim;
    add(WeightRole::cross_norm, spec_.hidden);
    add(WeightRole::cross_q, q, spec_.hidden);
    add(WeightRole::cross_k, kv, spec_.hidden);
    add(WeightRole::cross_v, kv, spec_.hidden);
    add(WeightRole::cross_o, spec_.hidden, q);
  }
  void latent_attention() {
    const LatentAttention& a = spec_.latent;
    const std::uint64_t heads = spec_.heads, query = std::uint64_t{a.nope_dim} + a.rope_dim;
    if (a.q_rank == 0) {
      add(WeightRole::q, heads * query, spec_.hidden);
    } else {
      add(WeightRole::q_a, a.q_rank, spec_.hidden);
      if (spec_.qkv_bias) add(WeightRole::q_a_bias, a.q_rank);
      add(WeightRole::q_a_norm, a.q_rank);
      add(WeightRole::q_b, heads * query, a.q_rank);
    }
    add(WeightRole::kv_a, std::uint64_t{a.kv_rank} + a.rope_dim, spec_.hidden);
    if (spec_.qkv_bias) add(WeightRole::kv_a_bias, std::uint64_t{a.kv_rank} + a.rope_dim);
    add(WeightRole::kv_a_norm, a.kv_rank);
    add(WeightRole::kv_b, heads * (std::uint64_t{a.nope_dim} + a.value_dim), a.kv_rank);
    add(WeightRole::o, spec_.hidden, heads * a.value_dim);
    if (spec_.o_bias) add(WeightRole::o_bias, spec_.hidden);
  }
  void mamba() {
    const MambaSizes& m = spec_.mamba;
    const std::uint64_t inner = m.inner;
    add(WeightRole::mamba_in, 2 * inner, spec_.hidden);
    if (m.projection_bias) add(WeightRole::mamba_in_bias, 2 * inner);
    add(WeightRole::mamba_convolution, inner, m.convolution);
    if (m.convolution_bias) add(WeightRole::mamba_convolution_bias, inner);
    add(WeightRole::mamba_x, m.dt_rank + 2 * std::uint64_t{m.state}, inner);
    add(WeightRole::mamba_dt, inner, m.dt_rank);
    add(WeightRole::mamba_dt_bias, inner);
    add(WeightRole::mamba_a_log, inner, m.state);
    add(WeightRole::mamba_d, inner);
    add(WeightRole::mamba_out, spec_.hidden, inner);
    if (m.projection_bias) add(WeightRole::mamba_out_bias, spec_.hidden);
    add(WeightRole::mamba_dt_norm, m.dt_rank);
    add(WeightRole::mamba_b_norm, m.state);
    add(WeightRole::mamba_c_norm, m.state);
  }
  void experts(const LayerSpec& layer, std::uint32_t first, std::uint32_t end) {
    add(WeightRole::router, layer.experts, spec_.hidden);
    if (layer.rule.logit_bias) add(WeightRole::router_bias, layer.experts);
    if (layer.rule.selection_bias) add(WeightRole::selection_bias, layer.experts);
    for (expert_ = first; expert_ < end && more_; ++expert_) {
      mlp(WeightRole::expert_gate, WeightRole::expert_up, WeightRole::expert_down, layer.intermediate);
      if (!spec_.expert_bias) continue;
      add(WeightRole::expert_gate_bias, layer.intermediate);
      add(WeightRole::expert_up_bias, layer.intermediate);
      add(WeightRole::expert_down_bias, spec_.hidden);
    }
    expert_ = 0;
    if (layer.shared == 0) return;
    mlp(WeightRole::shared_gate, WeightRole::shared_up, WeightRole::shared_down, layer.shared_intermediate);
    if (layer.shared_gate) add(WeightRole::shared_expert_gate, 1, spec_.hidden);
  }

  const ModelSpec& spec_;
  const std::function<bool(const WeightUse&)>& use_;
  std::uint32_t layer_ = 0, expert_ = 0;
  bool more_ = true;
};

bool is_gate_or_up(WeightRole role) {
  return role == WeightRole::expert_gate || role == WeightRole::expert_up;
}

bool is_up(WeightRole role) {
  return role == WeightRole::expert_up || role == WeightRole::expert_up_bias;
}

bool is_bias(WeightRole role) {
  return role == WeightRole::expert_gate_bias || role == WeightRole::expert_up_bias ||
         role == WeightRole::expert_down_bias;
}

// The shape of the tensor that holds this part of all experts.
std::vector<std::uint64_t> expert_shape(const WeightUse& use, std::uint64_t experts, ExpertStorage storage) {
  const bool down = use.role == WeightRole::expert_down || use.role == WeightRole::expert_down_bias;
  const bool fused = storage != ExpertStorage::stacked && storage != ExpertStorage::rows_of_all;
  if (is_bias(use.role)) return {experts, use.rows * (fused && !down ? 2 : 1)};
  switch (storage) {
    case ExpertStorage::fused_rows:
    case ExpertStorage::fused_rows_interleaved:
      return {experts, use.rows * (down ? 1 : 2), use.columns};
    case ExpertStorage::fused_columns:
    case ExpertStorage::fused_columns_interleaved:
      return {experts, use.columns, use.rows * (down ? 1 : 2)};
    case ExpertStorage::rows_of_all:
      return down ? std::vector<std::uint64_t>{experts * use.columns, use.rows}
                  : std::vector<std::uint64_t>{experts * use.rows, use.columns};
    default:
      return {experts, use.rows, use.columns};
  }
}

}  // namespace

const char* weight_role_name(WeightRole role) {
  return role_names[static_cast<std::size_t>(role)];
}

bool is_expert_role(WeightRole role) {
  return is_gate_or_up(role) || role == WeightRole::expert_down || is_bias(role);
}

void for_each_weight(const ModelSpec& spec, const std::function<bool(const WeightUse&)>& use) {
  Lister(spec, use).all();
}

void for_each_layer_weight(const ModelSpec& spec, std::uint32_t layer,
                           const std::function<bool(const WeightUse&)>& use) {
  Lister(spec, use).layer(layer, 0, spec.layers[layer].experts);
}

std::optional<WeightUse> find_weight(const ModelSpec& spec, WeightRole role, std::uint32_t layer,
                                     std::uint32_t expert) {
  std::optional<WeightUse> found;
  const std::function<bool(const WeightUse&)> look = [&](const WeightUse& use) {
    if (use.role == role && use.expert == expert) found = use;
    return !found.has_value();
  };
  Lister lister(spec, look);
  if (layer == 0 && expert == 0) lister.outside_layers();
  if (found || layer >= spec.layers.size()) return found;
  const std::uint32_t experts = spec.layers[layer].experts;
  lister.layer(layer, std::min(expert, experts), std::min(expert + 1, experts));
  return found;
}

void for_each_needed_tensor(const ModelSpec& spec, const WeightNames& names,
                            const std::function<bool(const NeededTensor&)>& use) {
  for_each_weight(spec, [&](const WeightUse& weight) {
    const auto named = [&](WeightRole role) { return weight_name(spec, names, role, weight.layer, weight.expert); };
    const bool expert = is_expert_role(weight.role);
    if (expert && names.experts != ExpertStorage::per_expert) {
      const bool fused = names.experts != ExpertStorage::stacked && names.experts != ExpertStorage::rows_of_all;
      if (weight.expert != 0 || (fused && is_up(weight.role))) return true;
      const std::uint64_t experts = spec.layers[weight.layer].experts;
      std::vector<std::uint64_t> shape = expert_shape(weight, experts, names.experts);
      if (names.blocks_suffix.empty() || is_bias(weight.role)) {
        return use({named(weight.role), std::move(shape), weight.role});
      }
      // Four-bit blocks of 32 along the columns, two numbers in a byte, and a scale for each block.
      shape.back() /= 32;
      if (!use({named(weight.role) + names.scales_suffix, shape, weight.role})) return false;
      shape.push_back(16);
      return use({named(weight.role) + names.blocks_suffix, std::move(shape), weight.role});
    }
    if (names.fused_qkv && (weight.role == WeightRole::k || weight.role == WeightRole::v)) return true;
    if (names.fused_qkv && weight.role == WeightRole::q) {
      const std::uint64_t kv = std::uint64_t{spec.kv_heads} * spec.head_dim;
      return use({named(weight.role), {weight.rows + 2 * kv, weight.columns}, weight.role});
    }
    if (names.fused_shared && weight.role == WeightRole::shared_up) return true;
    if (names.fused_shared && weight.role == WeightRole::shared_gate) {
      return use({named(weight.role), {2 * weight.rows, weight.columns}, weight.role});
    }
    if (names.split_kv_b && weight.role == WeightRole::kv_b) {
      const std::uint64_t heads = spec.heads;
      return use({tensor_name(names.k_b, weight.layer), {heads, weight.columns, spec.latent.nope_dim}, weight.role}) &&
             use({tensor_name(names.v_b, weight.layer), {heads, spec.latent.value_dim, weight.columns}, weight.role});
    }
    std::vector<std::uint64_t> shape{weight.rows};
    if (weight.columns > 1) shape.push_back(weight.columns);
    return use({named(weight.role), std::move(shape), weight.role});
  });
}

std::string tensor_name(const std::string& pattern, std::uint32_t layer, std::uint32_t expert) {
  std::string out;
  out.reserve(pattern.size() + 4);
  for (std::size_t i = 0; i < pattern.size();) {
    const bool slot = pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}';
    if (slot && pattern[i + 1] == 'L') {
      out += std::to_string(layer);
      i += 3;
    } else if (slot && pattern[i + 1] == 'E') {
      out += std::to_string(expert);
      i += 3;
    } else {
      out += pattern[i++];
    }
  }
  return out;
}

std::string weight_name(const ModelSpec& spec, const WeightNames& names, WeightRole role, std::uint32_t layer,
                        std::uint32_t expert) {
  const auto own = names.encoder.find(role);
  const std::string& pattern = spec.is_encoder(layer) && own != names.encoder.end() ? own->second : names[role];
  return tensor_name(pattern, spec.number_in_stack(layer), expert);
}

WeightNames decoder_weight_names(const std::string& block) {
  using R = WeightRole;
  const std::string layer = "model.layers.{L}.", attention = layer + "self_attn.", moe = layer + block + ".";
  WeightNames n;
  n[R::embedding] = "model.embed_tokens.weight";
  n[R::final_norm] = "model.norm.weight";
  n[R::final_norm_bias] = "model.norm.bias";
  n[R::lm_head] = "lm_head.weight";
  n[R::lm_head_bias] = "lm_head.bias";
  n[R::input_norm] = layer + "input_layernorm.weight";
  n[R::input_norm_bias] = layer + "input_layernorm.bias";
  n[R::post_norm] = layer + "post_attention_layernorm.weight";
  n[R::post_norm_bias] = layer + "post_attention_layernorm.bias";
  n[R::q] = attention + "q_proj.weight";
  n[R::k] = attention + "k_proj.weight";
  n[R::v] = attention + "v_proj.weight";
  n[R::o] = attention + "o_proj.weight";
  n[R::q_bias] = attention + "q_proj.bias";
  n[R::k_bias] = attention + "k_proj.bias";
  n[R::v_bias] = attention + "v_proj.bias";
  n[R::o_bias] = attention + "o_proj.bias";
  n[R::q_norm] = attention + "q_norm.weight";
  n[R::k_norm] = attention + "k_norm.weight";
  n[R::router] = moe + "gate.weight";
  n[R::expert_gate] = moe + "experts.{E}.gate_proj.weight";
  n[R::expert_up] = moe + "experts.{E}.up_proj.weight";
  n[R::expert_down] = moe + "experts.{E}.down_proj.weight";
  n[R::dense_gate] = moe + "gate_proj.weight";
  n[R::dense_up] = moe + "up_proj.weight";
  n[R::dense_down] = moe + "down_proj.weight";
  return n;
}

}  // namespace moescope
