#include "core/model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/io/weight_set.h"
#include "core/model/checkpoint_check.h"
#include "core/model/checkpoint_source.h"
#include "core/model/config_reader.h"
#include "core/model/families/family.h"
#include "core/model/gguf_names.h"
#include "core/model/tokenization/gguf_vocabulary.h"
#include "core/model/weight_resolver.h"

namespace moescope {

namespace fs = std::filesystem;

struct Checkpoint::Files {
  WeightSet set;
};

namespace {

// Folders that say what they hold, not which one: the folder above has the name.
bool says_only_what_it_holds(const std::string& folder) {
  constexpr std::array<std::string_view, 6> plain{"model", "models", "checkpoint", "weights", "hf", "huggingface"};
  return std::find(plain.begin(), plain.end(), folder) != plain.end();
}

std::string model_name(ConfigReader& config, const fs::path& folder) {
  std::string name = config.text_or("_name_or_path", "");
  while (!name.empty() && name.back() == '/') name.pop_back();
  if (const std::size_t slash = name.rfind('/'); slash != std::string::npos) name = name.substr(slash + 1);
  if (!name.empty()) return name;
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(folder, error);
  const fs::path& place = error ? folder : canonical;
  const fs::path above = place.parent_path().filename();
  return (says_only_what_it_holds(place.filename().string()) && !above.empty() ? above : place.filename()).string();
}

// The tokenizer in a GGUF file, else the one that lies in the folder; null when there is none.
Expected<std::shared_ptr<const Tokenizer>> tokenizer_of(const CheckpointSource& source) {
  if (source.gguf) {
    auto own = tokenization::tokenizer_of_gguf(*source.gguf);
    if (!own || *own) return own;
  }
  if (const auto file = find_tokenizer(source.config_file.parent_path())) return load_tokenizer(*file);
  return nullptr;
}

// eos_token_id: a number or a list of them; those outside the vocabulary are left out.
std::vector<std::int32_t> end_tokens(ConfigReader& config, std::uint32_t vocabulary) {
  std::vector<std::int32_t> out;
  const auto add = [&](const nlohmann::json& id) {
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < vocabulary) out.push_back(id.get<std::int32_t>());
  };
  const nlohmann::json* ids = config.find("eos_token_id");
  if (!ids) return out;
  ids->is_array() ? static_cast<void>(std::for_each(ids->begin(), ids->end(), add)) : add(*ids);
  return out;
}

}  // namespace

Expected<std::shared_ptr<const Checkpoint>> Checkpoint::open(const fs::path& path) {
  const auto source = find_checkpoint(path);
  if (!source) return fail(source.error());
  const nlohmann::json& json = source->config;
  // The language model of a multimodal checkpoint has its own config inside the whole one.
  const auto inner = json.is_object() ? json.find("text_config") : json.end();
  const bool nested = json.is_object() && inner != json.end() && inner->is_object() && inner->contains("model_type");
  ConfigReader config(nested ? *inner : json, source->config_file);
  const auto family = family_of_config(config);
  if (!family) return fail(family.error());
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  try {
    auto spec = (*family)->read_config(config);
    if (!spec) return fail(std::move(spec.error()));
    checkpoint->spec_ = std::move(*spec);
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the config cannot be read: {}", e.what()), source->config_file.string());
  }
  ModelSpec& spec = checkpoint->spec_;
  spec.name = source->name.empty() ? model_name(config, source->config_file.parent_path()) : source->name;
  checkpoint->folder_ = source->place;
  checkpoint->config_hash_ = source->config_hash;
  spec.end_tokens = end_tokens(config, spec.vocabulary);

  auto set = read_weights(*source);
  if (!set) return fail(std::move(set.error()));
  const auto has = [&](const std::string& name) { return set->tensors.count(name) != 0; };
  if (source->gguf) {
    follow_gguf_conversion(*source->gguf, spec);
    checkpoint->names_ = gguf_weight_names(spec, has);
  } else {
    checkpoint->names_ =
        (*family)->choose_names ? (*family)->choose_names(spec, (*family)->names, has) : (*family)->names;
  }
  if (auto ok = check_tensors(spec, checkpoint->names_, set->tensors, source->place); !ok) return fail(ok.error());
  checkpoint->notes_ = notes_of(spec, checkpoint->names_, set->tensors, set->unmapped, source->place);
  checkpoint->files_ = std::make_shared<Files>();
  checkpoint->tensors_ = set->tensors;
  checkpoint->files_->set = std::move(*set);

  auto tokenizer = tokenizer_of(*source);
  if (tokenizer) {
    checkpoint->tokenizer_ = std::move(*tokenizer);
  } else {
    checkpoint->tokenizer_error_ = std::move(tokenizer.error());
  }
  return checkpoint;
}

const TensorView* Checkpoint::tensor(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

Expected<WeightSlice> Checkpoint::weight(WeightRole role, std::uint32_t layer, std::uint32_t expert) const {
  const auto use = find_weight(spec_, role, layer, expert);
  if (!use) {
    return fail(
        ErrorKind::input,
        fmt::format("this model has no weight \"{}\" in layer {}, expert {}", weight_role_name(role), layer, expert),
        folder_.string());
  }
  return resolve_weight(spec_, names_, tensors_, *use);
}

Expected<WeightSlice> Checkpoint::latent_head(std::uint32_t layer, std::uint32_t head, bool values) const {
  return resolve_latent_head(spec_, names_, tensors_, layer, head, values);
}

std::uint64_t Checkpoint::total_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, view] : tensors_) bytes += view.bytes.size();
  return bytes;
}

std::vector<std::span<const std::byte>> Checkpoint::layer_bytes(std::uint32_t layer, bool experts) const {
  std::vector<std::span<const std::byte>> out;
  const auto add = [&](const TensorView& tensor) {
    const bool known = !out.empty() && out.back().data() == tensor.bytes.data();
    if (!known && !tensor.bytes.empty()) out.push_back(tensor.bytes);
  };
  for_each_layer_weight(spec_, layer, [&](const WeightUse& use) {
    if (is_expert_role(use.role) && !experts) return true;
    if (names_.split_kv_b && use.role == WeightRole::kv_b) {
      for (const std::string* pattern : {&names_.k_b, &names_.v_b}) {
        if (const TensorView* tensor = this->tensor(tensor_name(*pattern, layer))) add(*tensor);
      }
      return true;
    }
    const auto slice = resolve_weight(spec_, names_, tensors_, use);
    if (!slice) return true;  // what is missing is told when it is read
    add(slice->tensor);
    add(slice->scales);
    return true;
  });
  return out;
}

std::optional<Error> Checkpoint::fault() const {
  return files_ ? files_->set.fault() : std::nullopt;
}

}  // namespace moescope
