// WeightNames: which tensor holds which weight, and in which of the layouts that occur its experts lie. A family gives
// the names; which weights a model has at all follows from its ModelSpec alone. Plain data: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/model/model_spec.h"

namespace moescope {

// What a weight is for. Shapes are [out, in], as WeightUse says.
enum class WeightRole : std::uint8_t {
  embedding,
  final_norm,
  final_norm_bias,
  lm_head,
  lm_head_bias,
  input_norm,
  input_norm_bias,
  post_norm,
  post_norm_bias,
  q,
  k,
  v,
  o,
  q_bias,
  k_bias,
  v_bias,
  o_bias,
  q_norm,
  k_norm,
  sinks,
  q_a,
  q_a_bias,
  q_a_norm,
  q_b,
  kv_a,
  kv_a_bias,
  kv_a_norm,
  kv_b,
  encoder_norm,   // of an encoder's last layer
  relative_bias,  // [buckets, heads], in the first layer of each stack, used by all of it
  cross_norm,
  cross_q,
  cross_k,
  cross_v,
  cross_o,
  mamba_in,
  mamba_in_bias,
  mamba_convolution,
  mamba_convolution_bias,
  mamba_x,
  mamba_dt,
  mamba_dt_bias,
  mamba_a_log,
  mamba_d,
  mamba_out,
  mamba_out_bias,
  mamba_dt_norm,
  mamba_b_norm,
  mamba_c_norm,
  router,
  router_bias,
  selection_bias,
  expert_gate,
  expert_up,
  expert_down,
  expert_gate_bias,
  expert_up_bias,
  expert_down_bias,
  shared_gate,
  shared_up,
  shared_down,
  shared_expert_gate,
  dense_gate,
  dense_up,
  dense_down,
};
inline constexpr std::size_t weight_role_count = static_cast<std::size_t>(WeightRole::dense_down) + 1;
[[nodiscard]] MOESCOPE_API const char* weight_role_name(WeightRole role);  // "router", "expert_gate"
[[nodiscard]] MOESCOPE_API bool is_expert_role(WeightRole role);

// How the experts of a layer lie in the file. E experts, I inner width, H hidden.
enum class ExpertStorage : std::uint8_t {
  per_expert,                 // a tensor each: gate, up [I, H], down [H, I]
  stacked,                    // gate, up [E, I, H], down [E, H, I]
  fused_rows,                 // gate's name holds [E, 2I, H], gate rows first; down [E, H, I]
  fused_columns,              // [E, H, 2I], gate columns first; down [E, I, H]
  fused_columns_interleaved,  // [E, H, 2I], even columns are gate's; down [E, I, H]
  fused_rows_interleaved,     // [E, 2I, H], even rows are gate's; down [E, H, I]
  rows_of_all                 // gate, up [E·I, H]; down the same, each expert's block transposed
};

// Name patterns by role; {L} and {E} are filled in by tensor_name(). Where gate and up are fused, the fused tensor is
// the name of both. An empty pattern: this layout has no such tensor.
struct WeightNames {
  std::array<std::string, weight_role_count> patterns;
  std::map<WeightRole, std::string> encoder;  // those that the layers of an encoder have instead
  ExpertStorage experts = ExpertStorage::per_expert;
  bool fused_qkv = false;     // q, k and v are rows of one tensor, whose name all three have
  bool fused_shared = false;  // the shared expert's gate and up are rows of one tensor, whose name both have
  bool split_kv_b = false;    // kv_b is two tensors: keys [A, kv_rank, nope] and values [A, value, kv_rank]
  std::string k_b, v_b;       // their patterns
  std::string scale_suffix = "_scale_inv";  // of the scales of F8 weights
  // MXFP4 as two tensors: blocks [.., rows, columns / 32, 16] and scales [.., rows, columns / 32]; empty = not so
  // stored
  std::string blocks_suffix, scales_suffix;

  [[nodiscard]] std::string& operator[](WeightRole role) { return patterns[static_cast<std::size_t>(role)]; }
  [[nodiscard]] const std::string& operator[](WeightRole role) const {
    return patterns[static_cast<std::size_t>(role)];
  }
};

[[nodiscard]] MOESCOPE_API std::string tensor_name(const std::string& pattern, std::uint32_t layer,
                                                   std::uint32_t expert = 0);

// Name of a weight's tensor, layers counted within their stack.
[[nodiscard]] MOESCOPE_API std::string weight_name(const ModelSpec& spec, const WeightNames& names, WeightRole role,
                                                   std::uint32_t layer, std::uint32_t expert = 0);

// One weight that a model of this spec has.
struct WeightUse {
  WeightRole role = WeightRole::embedding;
  std::uint32_t layer = 0, expert = 0;
  std::uint64_t rows = 0, columns = 1;  // [out, in]; columns 1 = a vector of `rows` numbers
};

// Calls `use` for each weight of the model in the order of its layers; stops when it returns false.
MOESCOPE_API void for_each_weight(const ModelSpec& spec, const std::function<bool(const WeightUse&)>& use);

// The same for one layer.
MOESCOPE_API void for_each_layer_weight(const ModelSpec& spec, std::uint32_t layer,
                                        const std::function<bool(const WeightUse&)>& use);

// The use of one role; nothing when this model has no such weight.
[[nodiscard]] MOESCOPE_API std::optional<WeightUse> find_weight(const ModelSpec& spec, WeightRole role,
                                                                std::uint32_t layer = 0, std::uint32_t expert = 0);

// A tensor that must be in the files, with the shape it must have (sizes of 1 aside).
struct NeededTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  WeightRole role = WeightRole::embedding;
};

// The tensors that hold those weights under `names`; stops when `use` returns false.
MOESCOPE_API void for_each_needed_tensor(const ModelSpec& spec, const WeightNames& names,
                                         const std::function<bool(const NeededTensor&)>& use);

// The names of most decoders in the Hugging Face layout: model.layers.{L}.self_attn.q_proj.weight and so on, the router
// and the experts below model.layers.{L}.<block>.
[[nodiscard]] MOESCOPE_API WeightNames decoder_weight_names(const std::string& block);

}  // namespace moescope
