#include "core/io/weight_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/io/json_text.h"
#include "core/io/output_file.h"
#include "core/io/safetensors.h"
#include "core/io/torch_file.h"

namespace moescope {
namespace {

constexpr std::string_view index_ending = ".index.json";
constexpr std::array folder_names{"model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json",
                                  "pytorch_model.bin"};
constexpr std::size_t shard_limit = 10'000;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// Tensor -> shard of an index.
Expected<std::map<std::string, std::string>> read_weight_map(const std::filesystem::path& index) {
  const std::string where = index.string();
  const auto text = read_whole_file(index, json_bytes_limit);
  if (!text) return fail(text.error());
  const auto json = parse_json(*text, where);
  if (!json) return fail(json.error());
  constexpr const char* advice = "Download the index again";
  const auto found = json->is_object() ? json->find("weight_map") : json->end();
  if (!json->is_object() || found == json->end() || !found->is_object()) {
    return fail(ErrorKind::input, "the index has no object 'weight_map'", where, advice);
  }
  std::map<std::string, std::string> out;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string() || !is_plain_name(shard.get_ref<const std::string&>())) {
      return fail(ErrorKind::input, "the shard of a tensor is not a plain file name: " + shard.dump(-1, ' ', true),
                  fmt::format("{}, tensor '{}'", where, tensor), advice);
    }
    out.emplace(tensor, shard.get<std::string>());
  }
  if (out.empty()) return fail(ErrorKind::input, "the index names no tensors", where, advice);
  return out;
}

Expected<void> add_tensor(WeightSet& set, const std::string& name, TensorView tensor) {
  const std::string where = tensor.file;
  const auto [at, added] = set.tensors.emplace(name, std::move(tensor));
  if (added) return {};
  return fail(ErrorKind::input, fmt::format("the tensor is in two shards, the other is {}", at->second.file),
              fmt::format("{}, tensor '{}'", where, name), "Remove the shard that does not belong here");
}

Expected<void> add_safetensors(WeightSet& set, const std::filesystem::path& path) {
  auto file = read_safetensors(path);
  if (!file) return fail(file.error());
  set.files.push_back(file->file);
  set.metadata.insert(file->metadata.begin(), file->metadata.end());
  for (TensorView& tensor : file->tensors) {
    const std::string name = tensor.name;
    if (auto added = add_tensor(set, name, std::move(tensor)); !added) return added;
  }
  return {};
}

bool holds_tensors(const PickleValue& value) {
  const PickleDict* const dict = value.dict();
  return dict != nullptr && std::any_of(dict->begin(), dict->end(), [](const auto& entry) {
           return entry.first.text() != nullptr && entry.second.tensor() != nullptr;
         });
}

// The state dict in a file: the file's own dict, or the one that training programs put below a key.
const PickleValue* state_dict_of(const PickleValue& root) {
  if (holds_tensors(root)) return &root;
  for (const char* key : {"state_dict", "model"}) {
    const PickleValue* const inner = root.find(key);
    if (inner != nullptr && holds_tensors(*inner)) return inner;
  }
  return nullptr;
}

// The tensor as an ordinary view; one whose elements lie in another order is copied.
Expected<TensorView> row_major(const StridedTensor& tensor, const std::string& name) {
  TensorView view = tensor.view;
  view.name = name;
  if (tensor.contiguous()) return view;
  auto bytes = contiguous_bytes(tensor);
  if (!bytes) return fail(bytes.error());
  const auto copy = std::make_shared<const std::vector<std::byte>>(std::move(*bytes));
  view.bytes = *copy;
  view.owner = copy;
  return view;
}

Expected<void> add_torch(WeightSet& set, const std::filesystem::path& path) {
  const auto file = read_torch_file(path);
  if (!file) return fail(file.error());
  const PickleValue* const dict = state_dict_of(file->root);
  if (dict == nullptr) {
    return fail(ErrorKind::input, "the file holds no dict of tensors", path.string(), "Save the model's state dict");
  }
  set.files.push_back(file->file);
  for (const auto& [key, value] : *dict->dict()) {
    if (key.text() == nullptr || value.tensor() == nullptr) continue;
    auto view = row_major(*value.tensor(), *key.text());
    if (!view) return fail(view.error());
    if (auto added = add_tensor(set, *key.text(), std::move(*view)); !added) return added;
  }
  return {};
}

// Adds the tensors of one file; a name that is there already is an error.
Expected<void> add_file(WeightSet& set, const std::filesystem::path& path) {
  const auto ending = path.extension();
  const bool torch = ending == ".bin" || ending == ".pt" || ending == ".pth";
  return torch ? add_torch(set, path) : add_safetensors(set, path);
}

}  // namespace

std::optional<Error> WeightSet::fault() const {
  for (const auto& file : files) {
    if (auto lost = file->fault()) return lost;
  }
  return std::nullopt;
}

Expected<WeightSet> read_sharded_weights(const std::filesystem::path& index) {
  const auto weight_map = read_weight_map(index);
  if (!weight_map) return fail(weight_map.error());
  std::map<std::string, std::string> shards;  // shard -> a tensor that needs it
  for (const auto& [tensor, shard] : *weight_map) shards.emplace(shard, tensor);
  if (shards.size() > shard_limit) {
    return fail(ErrorKind::input, fmt::format("the index names {} shards, more than {}", shards.size(), shard_limit),
                index.string(), "Check that this is the right file");
  }
  WeightSet set;
  for (const auto& [shard, tensor] : shards) {
    const auto path = index.parent_path() / shard;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) {
      return fail(ErrorKind::input,
                  fmt::format("a shard that the index names is missing (tensor '{}' is in it)", tensor), path.string(),
                  "Download the missing shard");
    }
    if (auto added = add_file(set, path); !added) return fail(added.error());
  }
  for (const auto& [tensor, shard] : *weight_map) {
    const auto found = set.tensors.find(tensor);
    if (found == set.tensors.end() || std::filesystem::path(found->second.file).filename() != shard) {
      return fail(ErrorKind::input, "the shard does not have a tensor that the index promises",
                  fmt::format("{}, tensor '{}'", (index.parent_path() / shard).string(), tensor),
                  "Download the index and the shard again");
    }
  }
  for (const auto& [name, tensor] : set.tensors) {
    if (!weight_map->contains(name)) set.unmapped.push_back(name);
  }
  return set;
}

Expected<WeightSet> read_weight_file(const std::filesystem::path& path) {
  WeightSet set;
  if (auto added = add_file(set, path); !added) return fail(added.error());
  return set;
}

Expected<WeightSet> read_weights_folder(const std::filesystem::path& folder) {
  for (const std::string_view name : folder_names) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder / name, ignored)) continue;
    return name.ends_with(index_ending) ? read_sharded_weights(folder / name) : read_weight_file(folder / name);
  }
  return fail(ErrorKind::input, "the folder has no weights: neither model.safetensors nor pytorch_model.bin",
              folder.string(), "Download the weights too");
}

}  // namespace moescope
