#include "plugins/torch_engine/train/model_files.h"

#include <ATen/ATen.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "core/io/safetensors_writer.h"

namespace moescope::train {
namespace {

Expected<void> write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) {
    return fail(ErrorKind::input, "cannot write the model", file.string(), "Check the folder's space and permissions.");
  }
  return {};
}

std::string config_json(const ModelShape& s) {
  const nlohmann::ordered_json config{
      {"architectures", {"OlmoeForCausalLM"}},
      {"model_type", "olmoe"},
      {"vocab_size", s.vocabulary},
      {"hidden_size", s.hidden},
      {"intermediate_size", s.intermediate},
      {"num_hidden_layers", s.layers},
      {"num_attention_heads", s.heads},
      {"num_key_value_heads", s.heads},
      {"num_experts", s.experts},
      {"num_experts_per_tok", s.k},
      {"norm_topk_prob", s.norm_topk_prob},
      {"max_position_embeddings", s.max_positions},
      {"hidden_act", "silu"},
      {"rms_norm_eps", s.norm_epsilon},
      {"rope_theta", s.rope_theta},
      {"rope_scaling", nullptr},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"clip_qkv", nullptr},
      {"tie_word_embeddings", false},
      {"initializer_range", 0.02},
      {"bos_token_id", nullptr},
      {"eos_token_id", 0},
      {"pad_token_id", 0},
      {"torch_dtype", "bfloat16"},
  };
  return config.dump(2) + "\n";
}

Expected<void> write_weights(const std::filesystem::path& file, const std::vector<Parameter>& all) {
  std::vector<TensorSpec> specs;
  for (const Parameter& p : all) {
    const auto sizes = p.tensor.sizes();
    specs.push_back({p.name, DType::bf16, {sizes.begin(), sizes.end()}});
  }
  auto writer = SafetensorsWriter::create(file, std::move(specs), {{"format", "pt"}});
  if (!writer) return Unexpected(writer.error());
  for (const Parameter& p : all) {
    const at::Tensor narrow = p.tensor.detach().to(at::kBFloat16).contiguous();
    const std::span bytes(static_cast<const std::byte*>(narrow.data_ptr()), narrow.nbytes());
    if (auto done = writer->write(p.name, bytes); !done) return done;
  }
  return writer->finish();
}

}  // namespace

Expected<void> write_model(const std::filesystem::path& folder, const ModelShape& shape,
                           const blocks::ModelWeights& weights, const std::string& tokenizer_json) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorKind::input, error.message(), folder.string(), "Choose a folder that can be written.");
  if (auto done = write_bytes(folder / "config.json", config_json(shape)); !done) return done;
  if (auto done = write_bytes(folder / "tokenizer.json", tokenizer_json); !done) return done;
  return write_weights(folder / "model.safetensors", parameters(weights));
}

}  // namespace moescope::train
