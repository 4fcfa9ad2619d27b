#include "core/model/checkpoint_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "core/base/hash.h"
#include "core/base/utf8.h"
#include "core/model/gguf_config.h"
#include "core/model/json_file.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_config_bytes = 16ULL << 20U;

bool is_gguf(const fs::path& file) {
  std::string front(4, '\0');
  std::ifstream(file, std::ios::binary).read(front.data(), 4);
  return looks_like_gguf(std::as_bytes(std::span(front)));
}

// The GGUF model of a folder that has no config.json; nothing when there is none. Later parts of split models do not
// count.
Expected<std::optional<fs::path>> gguf_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (it->path().extension() != ".gguf") continue;
    if (name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos) continue;
    found.push_back(it->path());
  }
  if (found.empty()) return std::optional<fs::path>();
  if (found.size() == 1) return std::optional(found.front());
  std::sort(found.begin(), found.end());
  return fail(ErrorKind::input,
              fmt::format("the folder has several GGUF files, {} and {} among them", found[0].filename().string(),
                          found[1].filename().string()),
              folder.string(), "Name the one to open");
}

// A file of torch.save that is not one of a folder's usual names.
std::optional<fs::path> own_weights(const fs::path& file) {
  const fs::path ending = file.extension();
  if (ending != ".bin" && ending != ".pt" && ending != ".pth") return std::nullopt;
  return file.filename().string().rfind("pytorch_model", 0) == 0 ? std::nullopt : std::optional(file);
}

Expected<CheckpointSource> gguf_source(const fs::path& file) {
  auto gguf = read_gguf(file);
  if (!gguf) return fail(std::move(gguf.error()));
  CheckpointSource out;
  out.place = out.config_file = file;
  auto config = gguf_config(*gguf);
  if (!config) return fail(std::move(config.error()));
  out.config = std::move(*config);
  const GgufValue* const name = gguf->find("general.name");
  const bool named =
      name != nullptr && name->text() != nullptr && !name->text()->empty() && is_valid_utf8(*name->text());
  out.name = named ? *name->text() : file.stem().string();
  // "model.gguf" says nothing; its folder does.
  if (out.name == "model" && file.has_parent_path()) out.name = file.parent_path().filename().string();
  // All that stands before the first tensor.
  const auto bytes = gguf->files.front()->bytes();
  std::uint64_t header = bytes.size();
  for (const TensorView& tensor : gguf->tensors) {
    if (tensor.owner == gguf->files.front()) header = std::min(header, tensor.file_offset);
  }
  out.config_hash = hash_hex(bytes.first(static_cast<std::size_t>(header)));
  out.gguf = std::move(*gguf);
  return out;
}

Expected<CheckpointSource> folder_source(const fs::path& folder, std::optional<fs::path> weights) {
  CheckpointSource out;
  out.place = weights ? *weights : folder;
  out.config_file = folder / "config.json";
  out.weights = std::move(weights);
  const auto text = read_small_file(out.config_file, max_config_bytes);
  if (!text) return fail(text.error());
  auto json = parse_json_text(*text, out.config_file);
  if (!json) return fail(json.error());
  out.config = std::move(*json);
  out.config_hash = hash_hex(*text);
  return out;
}

}  // namespace

Expected<CheckpointSource> find_checkpoint(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error || !fs::exists(status)) {
    return fail(ErrorKind::input, "the checkpoint does not exist", path.string(), "Check the path");
  }
  const bool is_folder = fs::is_directory(status);
  if (!is_folder && fs::is_regular_file(status) && is_gguf(path)) return gguf_source(path);
  const fs::path folder = is_folder ? path : fs::absolute(path, error).parent_path();
  if (fs::is_regular_file(folder / "config.json", error)) {
    return folder_source(folder, is_folder ? std::nullopt : own_weights(path));
  }
  if (!is_folder) {
    if (fs::file_size(path, error) == 0) {
      return fail(ErrorKind::input, "the file is empty", path.string(), "Copy or download it again");
    }
    return fail(ErrorKind::input, "weights alone are not a checkpoint: there is no config.json beside the file",
                path.string(), "Open the model's whole folder, with config.json in it");
  }
  const auto gguf = gguf_in(folder);
  if (!gguf) return fail(gguf.error());
  if (*gguf) return gguf_source(**gguf);
  return fail(
      ErrorKind::input, "the folder has no config.json", folder.string(),
      "Open a folder in the Hugging Face layout (config.json and model.safetensors, or shards with an index) or "
      "a GGUF file");
}

Expected<WeightSet> read_weights(const CheckpointSource& source) {
  if (source.weights) return read_weight_file(*source.weights);
  if (!source.gguf) return read_weights_folder(source.place);
  WeightSet out;
  out.files = source.gguf->files;
  for (const TensorView& tensor : source.gguf->tensors) out.tensors.emplace(tensor.name, tensor);
  return out;
}

}  // namespace moescope
