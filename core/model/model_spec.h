// ModelSpec: what a checkpoint is, in data: dimensions, what each layer does, the router's exact arithmetic. Filled by
// one family file each (core/model/families/<family>.cpp) from config.json; read by engines, views and reports. Where
// the weights lie is WeightNames (core/model/weight_names.h). Plain data: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/model/rope.h"
#include "core/model/router_rule.h"

namespace moescope {

enum class LayerKind : std::uint8_t { moe, dense };

// What mixes tokens in a layer.
enum class Mixer : std::uint8_t {
  attention,
  latent_attention,  // keys and values from one small latent per token (MLA)
  mamba              // selective state space, first version
};

struct LayerSpec {
  LayerKind kind = LayerKind::moe;
  std::uint32_t experts = 0, k = 0;
  std::uint32_t shared = 0;               // experts that every token uses, stored as one MLP
  std::uint32_t shared_intermediate = 0;  // inner width of that MLP
  bool shared_gate = false;               // its output is multiplied by the sigmoid of a learned product
  std::uint32_t intermediate = 0;         // I of one expert, or of the dense MLP
  RouterRule rule = {};
  Mixer mixer = Mixer::attention;
  bool rope = true;          // positions are rotated in
  std::uint32_t window = 0;  // a token sees this many, itself included; 0 = all before it
  std::uint32_t chunk = 0;   // a token sees only its own chunk of this many; 0 = no chunks
};

enum class QkNorm : std::uint8_t {
  none,
  whole_width,             // RMS norm of the whole projection, before heads are split
  per_head,                // RMS norm of each head, before rotation
  per_head_after_rotation  // RMS norm of each head without a weight, after rotation, in layers that rotate
};
enum class Norm : std::uint8_t { rms, layer, layer_without_bias };
enum class Activation : std::uint8_t {
  silu,            // silu(gate) · up
  clamped_swiglu,  // (up + 1) · gate · sigmoid(1.702 · gate), gate ≤ limit, |up| ≤ limit
  relu             // max(gate, 0); there is no up
};

// Sizes of latent attention.
struct LatentAttention {
  std::uint32_t q_rank = 0;  // 0 = queries straight from the hidden state
  std::uint32_t kv_rank = 0, nope_dim = 0, rope_dim = 0, value_dim = 0;
};

// Sizes of mamba layers.
struct MambaSizes {
  std::uint32_t inner = 0, state = 0, convolution = 0, dt_rank = 0;
  bool convolution_bias = true, projection_bias = false;
};

// Where positions are told apart by a learned bias of each head for the distance of a key: see relative_position.h.
struct RelativePositions {
  std::uint32_t buckets = 0;  // of distances; 0 = the model has no such bias
  std::uint32_t max_distance = 0;
};

struct ModelSpec {
  std::string family;  // "olmoe"
  std::string name;    // folder name or _name_or_path
  std::uint32_t vocabulary = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, max_positions = 0;
  Norm norm = Norm::rms;
  double norm_epsilon = 1e-5;
  bool tied_embeddings = false;
  bool lm_head_bias = false;
  bool qkv_bias = false, o_bias = false;
  bool attention_sinks = false;  // a learned extra logit per head in the softmax, without a value
  QkNorm qk_norm = QkNorm::none;
  std::optional<double> clip_qkv;
  double attention_scale = 0.0;  // of the scores; 0 = head_dim^−½
  RopeSpec rope;
  RelativePositions relative;
  LatentAttention latent;
  MambaSizes mamba;
  Activation activation = Activation::silu;
  double activation_limit = 0.0;
  bool expert_bias = false;
  double embedding_multiplier = 1.0, residual_multiplier = 1.0, logits_divisor = 1.0;
  // Layers that do not rotate multiply q by ln(1 + ⌊(position + 1) / floor⌋) · scale + 1; floor 0 = they do not.
  double temperature_floor = 0.0, temperature_scale = 0.0;
  std::vector<LayerSpec> layers;
  // Of an encoder and a decoder in one model: the first so many layers are the encoder's, whose tokens see each other
  // both ways; the others attend to what it makes of its tokens besides their own.
  std::uint32_t encoder_layers = 0;
  std::int32_t start_token = 0;                     // what such a decoder begins with
  std::vector<std::int32_t> end_tokens;             // after which a text ends
  std::string torch_dtype;                          // as the config says
  std::string quantisation;                         // "fp8", "mxfp4"; empty = none
  std::uint32_t block_rows = 0, block_columns = 0;  // of one scale of "fp8"
  std::map<std::string, std::string> notes;         // oddities worth showing

  // Parameters in all, and used per token (k experts of each layer). Biases that only steer the choice are not counted.
  [[nodiscard]] MOESCOPE_API std::uint64_t parameters_total() const;
  [[nodiscard]] MOESCOPE_API std::uint64_t parameters_active() const;
  [[nodiscard]] bool is_encoder(std::size_t layer) const { return layer < encoder_layers; }
  // The layer's number in its own stack, which is what tensor names and traces count by.
  [[nodiscard]] std::uint32_t number_in_stack(std::size_t layer) const {
    return static_cast<std::uint32_t>(layer) - (is_encoder(layer) ? 0 : encoder_layers);
  }
  // Width of a query head and of a value head, whichever attention the model has.
  [[nodiscard]] std::uint32_t query_dim() const {
    return latent.kv_rank == 0 ? head_dim : latent.nope_dim + latent.rope_dim;
  }
  [[nodiscard]] std::uint32_t value_dim() const { return latent.kv_rank == 0 ? head_dim : latent.value_dim; }
};

}  // namespace moescope
