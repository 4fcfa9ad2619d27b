#include "core/io/sharded_safetensors.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/io/json_text.h"
#include "core/io/output_file.h"
#include "core/io/safetensors.h"

namespace moescope {
namespace {

constexpr const char* index_name = "model.safetensors.index.json";
constexpr const char* single_name = "model.safetensors";
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

// Adds the tensors of one file; a name that is there already is an error.
Expected<void> add_file(ShardedSafetensors& set, const std::filesystem::path& path) {
  auto file = read_safetensors(path);
  if (!file) return fail(file.error());
  set.files.push_back(file->file);
  set.metadata.insert(file->metadata.begin(), file->metadata.end());
  for (TensorView& tensor : file->tensors) {
    const std::string name = tensor.name;
    const auto [at, added] = set.tensors.emplace(name, std::move(tensor));
    if (!added) {
      return fail(ErrorKind::input, fmt::format("the tensor is in two shards, the other is {}", at->second.file),
                  fmt::format("{}, tensor '{}'", path.string(), name), "Remove the shard that does not belong here");
    }
  }
  return {};
}

}  // namespace

std::optional<Error> ShardedSafetensors::fault() const {
  for (const auto& file : files) {
    if (auto lost = file->fault()) return lost;
  }
  return std::nullopt;
}

Expected<ShardedSafetensors> read_sharded_safetensors(const std::filesystem::path& index) {
  const auto weight_map = read_weight_map(index);
  if (!weight_map) return fail(weight_map.error());
  std::map<std::string, std::string> shards;  // shard -> a tensor that needs it
  for (const auto& [tensor, shard] : *weight_map) shards.emplace(shard, tensor);
  if (shards.size() > shard_limit) {
    return fail(ErrorKind::input, fmt::format("the index names {} shards, more than {}", shards.size(), shard_limit),
                index.string(), "Check that this is the right file");
  }
  ShardedSafetensors set;
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

Expected<ShardedSafetensors> read_safetensors_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(folder / index_name, ignored)) return read_sharded_safetensors(folder / index_name);
  ShardedSafetensors set;
  if (auto added = add_file(set, folder / single_name); !added) return fail(added.error());
  return set;
}

}  // namespace moescope
