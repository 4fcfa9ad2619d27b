#include "core/model/gguf_names.h"

#include <array>
#include <utility>

// Names: checkpoints.md, section 3.4; conversions: section 3.5.
namespace moescope {
namespace {

constexpr std::array<std::pair<WeightRole, const char*>, 3> global_names{{
    {WeightRole::embedding, "token_embd.weight"},
    {WeightRole::final_norm, "output_norm.weight"},
    {WeightRole::lm_head, "output.weight"},
}};

constexpr std::array<std::pair<WeightRole, const char*>, 37> block_names{{
    {WeightRole::input_norm, "attn_norm.weight"},
    {WeightRole::post_norm, "ffn_norm.weight"},
    {WeightRole::q, "attn_q.weight"},
    {WeightRole::k, "attn_k.weight"},
    {WeightRole::v, "attn_v.weight"},
    {WeightRole::o, "attn_output.weight"},
    {WeightRole::q_bias, "attn_q.bias"},
    {WeightRole::k_bias, "attn_k.bias"},
    {WeightRole::v_bias, "attn_v.bias"},
    {WeightRole::o_bias, "attn_output.bias"},
    {WeightRole::q_norm, "attn_q_norm.weight"},
    {WeightRole::k_norm, "attn_k_norm.weight"},
    {WeightRole::sinks, "attn_sinks.weight"},
    {WeightRole::q_a, "attn_q_a.weight"},
    {WeightRole::q_a_bias, "attn_q_a.bias"},
    {WeightRole::q_a_norm, "attn_q_a_norm.weight"},
    {WeightRole::q_b, "attn_q_b.weight"},
    {WeightRole::kv_a, "attn_kv_a_mqa.weight"},
    {WeightRole::kv_a_bias, "attn_kv_a_mqa.bias"},
    {WeightRole::kv_a_norm, "attn_kv_a_norm.weight"},
    {WeightRole::kv_b, "attn_kv_b.weight"},
    {WeightRole::router, "ffn_gate_inp.weight"},
    {WeightRole::router_bias, "ffn_gate_inp.bias"},
    {WeightRole::selection_bias, "exp_probs_b.bias"},
    {WeightRole::expert_gate, "ffn_gate_exps.weight"},
    {WeightRole::expert_up, "ffn_up_exps.weight"},
    {WeightRole::expert_down, "ffn_down_exps.weight"},
    {WeightRole::expert_gate_bias, "ffn_gate_exps.bias"},
    {WeightRole::expert_up_bias, "ffn_up_exps.bias"},
    {WeightRole::expert_down_bias, "ffn_down_exps.bias"},
    {WeightRole::shared_gate, "ffn_gate_shexp.weight"},
    {WeightRole::shared_up, "ffn_up_shexp.weight"},
    {WeightRole::shared_down, "ffn_down_shexp.weight"},
    {WeightRole::shared_expert_gate, "ffn_gate_inp_shexp.weight"},
    {WeightRole::dense_gate, "ffn_gate.weight"},
    {WeightRole::dense_up, "ffn_up.weight"},
    {WeightRole::dense_down, "ffn_down.weight"},
}};

constexpr const char* block = "blk.{L}.";

}  // namespace

WeightNames gguf_weight_names(const ModelSpec& spec, const HasTensor& has) {
  WeightNames names;
  names.experts = ExpertStorage::stacked;
  for (const auto& [role, name] : global_names) names[role] = name;
  for (const auto& [role, name] : block_names) names[role] = std::string(block) + name;
  if (has("blk.0.post_attention_norm.weight") && !has("blk.0.ffn_norm.weight")) {
    names[WeightRole::post_norm] = std::string(block) + "post_attention_norm.weight";
  }
  if (has("blk.0.attn_k_b.weight")) {
    names.split_kv_b = true;
    names.k_b = std::string(block) + "attn_k_b.weight";
    names.v_b = std::string(block) + "attn_v_b.weight";
  }
  for (std::uint32_t layer = 0; layer < spec.layers.size(); ++layer) {
    if (spec.layers[layer].kind != LayerKind::moe) continue;
    const std::string fused = std::string(block) + "ffn_gate_up_exps.weight";
    const std::string single = std::string(block) + "ffn_gate.{E}.weight";
    if (has(tensor_name(fused, layer))) {
      names.experts = ExpertStorage::fused_rows;
      names[WeightRole::expert_gate] = names[WeightRole::expert_up] = fused;
    } else if (has(tensor_name(single, layer, 0))) {
      names.experts = ExpertStorage::per_expert;
      names[WeightRole::expert_gate] = single;
      names[WeightRole::expert_up] = std::string(block) + "ffn_up.{E}.weight";
      names[WeightRole::expert_down] = std::string(block) + "ffn_down.{E}.weight";
    }
    break;  // all layers are stored in the same way
  }
  return names;
}

void follow_gguf_conversion(const GgufFile& file, ModelSpec& spec) {
  const GgufValue* const architecture = file.find("general.architecture");
  if (architecture == nullptr || architecture->text() == nullptr) return;
  if (*architecture->text() == "llama" || *architecture->text() == "granitemoe") spec.rope.interleaved = true;
}

}  // namespace moescope
