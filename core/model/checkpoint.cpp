#include "core/model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/hash.h"
#include "core/io/sharded_safetensors.h"
#include "core/model/config_reader.h"
#include "core/model/families/family.h"
#include "core/model/json_file.h"

namespace moescope {

namespace fs = std::filesystem;

struct Checkpoint::Files {
  ShardedSafetensors set;
};

namespace {

constexpr std::uint64_t max_config_bytes = 16ULL << 20U;
constexpr std::size_t problems_named = 3;

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// The folder that `path` means: itself, or the one a file of a checkpoint lies in.
Expected<fs::path> folder_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error || !fs::exists(status)) {
    return fail(ErrorKind::input, "the checkpoint does not exist", path.string(), "Check the path");
  }
  const bool is_folder = fs::is_directory(status);
  const fs::path folder = is_folder ? path : fs::absolute(path, error).parent_path();
  if (fs::is_regular_file(folder / "config.json", error)) return folder;
  if (!is_folder) {
    if (fs::file_size(path, error) == 0) {
      return fail(ErrorKind::input, "the file is empty", path.string(), "Copy or download it again");
    }
    return fail(ErrorKind::input, "weights alone are not a checkpoint: there is no config.json beside the file",
                path.string(), "Open the model's whole folder, with config.json in it");
  }
  return fail(ErrorKind::input, "the folder has no config.json", folder.string(),
              "Open a folder in the Hugging Face layout: config.json and model.safetensors (or shards with an index)");
}

bool supported_weight_type(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

// Checks presence, type and shape of all the family needs; names the first few problems in one error.
Expected<void> check_tensors(const ModelFamily& family, const ModelSpec& spec,
                             const std::map<std::string, TensorView>& tensors, const fs::path& folder) {
  std::vector<std::string> problems;
  std::size_t needed = 0;
  std::size_t found = 0;
  family.list_tensors(spec, family.names, [&](const NeededTensor& need) {
    ++needed;
    const auto it = tensors.find(need.name);
    if (it == tensors.end()) {
      problems.push_back(fmt::format("{} is missing, shape {} expected", need.name, shape_text(need.shape)));
    } else if (it->second.shape != need.shape) {
      problems.push_back(
          fmt::format("{} has shape {}, {} expected", need.name, shape_text(it->second.shape), shape_text(need.shape)));
    } else if (!supported_weight_type(it->second.type)) {
      problems.push_back(fmt::format("{} is {}; F32, F16 or BF16 expected", need.name, dtype_name(it->second.type)));
    } else {
      ++found;
    }
    // A wrong config may ask for millions of tensors; the first problems are enough.
    return problems.size() <= problems_named;
  });
  if (problems.empty()) return {};
  const bool more = problems.size() > problems_named;
  if (more) problems.pop_back();
  return fail(
      ErrorKind::input,
      fmt::format("the weights do not fit config.json: {}{}", fmt::join(problems, "; "), more ? "; and more" : ""),
      folder.string(),
      found == 0 ? "Check that config.json belongs to these weights"
                 : "The download may be incomplete, or config.json of another model: copy the folder again");
}

bool is_rotary_table(const std::string& name) {
  constexpr std::string_view ending = "rotary_emb.inv_freq";
  return name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

// What lies in the folder or the files and was not used.
std::vector<std::string> notes_of(const ModelFamily& family, const ModelSpec& spec, const ShardedSafetensors& set,
                                  const fs::path& folder) {
  std::vector<std::string> notes;
  if (!set.unmapped.empty()) {
    notes.push_back(fmt::format("{} tensors are in the shards but not in the index, the first is {}",
                                set.unmapped.size(), set.unmapped.front()));
  }
  std::size_t used = 0;
  family.list_tensors(spec, family.names, [&](const NeededTensor&) { return ++used > 0; });
  std::size_t ignored = 0;
  for (const auto& [name, view] : set.tensors) ignored += is_rotary_table(name) ? 1 : 0;
  const bool spare_head = spec.tied_embeddings && set.tensors.count(family.names.lm_head) != 0;
  if (spare_head) notes.push_back("lm_head.weight is there but not used: the config ties it to the embedding");
  const std::size_t extra = set.tensors.size() - used - ignored - (spare_head ? 1 : 0);
  if (extra != 0) notes.push_back(fmt::format("{} further tensors are not used by this family", extra));
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool vendor = name.rfind("consolidated", 0) == 0 || name == "params.json" || name == "original";
    const bool pickle = name.rfind("pytorch_model", 0) == 0 && it->path().extension() == ".bin";
    if (vendor || pickle) notes.push_back(fmt::format("{} was left out: model.safetensors holds the weights", name));
  }
  std::sort(notes.begin(), notes.end());
  return notes;
}

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

}  // namespace

Expected<std::shared_ptr<const Checkpoint>> Checkpoint::open(const fs::path& path) {
  const auto folder = folder_of(path);
  if (!folder) return fail(folder.error());
  const fs::path config_file = *folder / "config.json";
  const auto text = read_small_file(config_file, max_config_bytes);
  if (!text) return fail(text.error());
  const auto json = parse_json_text(*text, config_file);
  if (!json) return fail(json.error());

  ConfigReader config(*json, config_file);
  const auto family = family_of_config(config);
  if (!family) return fail(family.error());
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  try {
    auto spec = (*family)->read_config(config);
    if (!spec) return fail(std::move(spec.error()));
    checkpoint->spec_ = std::move(*spec);
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the config cannot be read: {}", e.what()), config_file.string());
  }
  checkpoint->spec_.name = model_name(config, *folder);
  checkpoint->names_ = (*family)->names;
  checkpoint->folder_ = *folder;
  checkpoint->config_hash_ = hash_hex(*text);

  auto set = read_safetensors_folder(*folder);
  if (!set) return fail(std::move(set.error()));
  if (auto ok = check_tensors(**family, checkpoint->spec_, set->tensors, *folder); !ok) return fail(ok.error());
  checkpoint->notes_ = notes_of(**family, checkpoint->spec_, *set, *folder);
  checkpoint->files_ = std::make_shared<Files>();
  checkpoint->tensors_ = set->tensors;
  checkpoint->files_->set = std::move(*set);

  std::error_code error;
  if (const fs::path file = *folder / "tokenizer.json"; fs::exists(file, error)) {
    auto tokenizer = load_tokenizer(file);
    if (tokenizer) {
      checkpoint->tokenizer_ = std::move(*tokenizer);
    } else {
      checkpoint->tokenizer_error_ = std::move(tokenizer.error());
    }
  }
  return checkpoint;
}

const TensorView* Checkpoint::tensor(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

std::uint64_t Checkpoint::total_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, view] : tensors_) bytes += view.bytes.size();
  return bytes;
}

std::optional<Error> Checkpoint::fault() const {
  return files_ ? files_->set.fault() : std::nullopt;
}

}  // namespace moescope
