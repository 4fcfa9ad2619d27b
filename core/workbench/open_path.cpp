// Deciding by content what a path is, and opening it.
#include <fmt/format.h>

#include <system_error>

#include "core/base/hash.h"
#include "core/io/gguf.h"
#include "core/io/safetensors.h"
#include "core/trace/import/importer.h"
#include "core/workbench/model_join.h"
#include "core/workbench/state.h"

namespace moescope {

namespace {

constexpr const char* looked_for = "Open a checkpoint folder with config.json, a GGUF model, a trace or a session";

// The metadata key that makes a safetensors file a trace.
constexpr const char* trace_key = "moescope";

// At most this many tensors are looked into for a checkpoint's identity, and this many bytes of each.
constexpr std::size_t sampled_tensors = 256;
constexpr std::size_t sampled_bytes = 4096;

// Identity of a checkpoint without reading all of it: config, names, shapes, and samples of the weights.
std::string checkpoint_hash(const Checkpoint& checkpoint) {
  Hasher hasher;
  hasher.add(checkpoint.config_hash());
  const std::size_t stride = std::max<std::size_t>(1, checkpoint.tensors().size() / sampled_tensors);
  std::size_t index = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    hasher.add(fmt::format("{} {} {};", name, dtype_name(tensor.type), fmt::join(tensor.shape, ",")));
    if (index++ % stride == 0) hasher.add(tensor.bytes.first(std::min(sampled_bytes, tensor.bytes.size())));
  }
  return hasher.hex();
}

Expected<Opened> open_checkpoint(const std::filesystem::path& path) {
  auto checkpoint = Checkpoint::open(path);
  if (!checkpoint) return fail(checkpoint.error());
  Opened opened;
  opened.kind = SourceKind::checkpoint;
  opened.path = (*checkpoint)->folder();
  opened.name = (*checkpoint)->spec().name;
  opened.bytes = (*checkpoint)->total_bytes();
  opened.hash = checkpoint_hash(**checkpoint);
  if (auto fault = (*checkpoint)->fault()) return fail(std::move(*fault));
  opened.checkpoint = std::move(*checkpoint);
  return opened;
}

// A trace of any format. A folder stands for the files of one recording.
Expected<Opened> open_trace(const std::filesystem::path& path, const nlohmann::json& import) {
  auto options = import_options_from_json(import);
  if (!options) return fail(options.error());
  options->converted = converted_imports_folder();
  auto trace = import_trace({path}, *options);
  if (!trace) return fail(trace.error());
  Opened opened;
  opened.kind = SourceKind::trace;
  opened.path = path;
  opened.name = trace->name;
  opened.import = import;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) opened.bytes = std::filesystem::file_size(path, ignored);
  opened.hash = trace->content_hash;
  opened.trace = std::make_shared<const Trace>(std::move(*trace));
  return opened;
}

// A file of weights or of settings stands for the checkpoint folder it lies in.
bool lies_in_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path.parent_path() / "config.json", ignored);
}

bool is_gguf_file(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return file && looks_like_gguf((*file)->bytes());
}

bool is_torch_name(const std::string& name) {
  return name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth");
}

// Whether a folder without config.json has a GGUF model in it.
bool has_gguf(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".gguf") return true;
  }
  return false;
}

Expected<Opened> open_file(const std::filesystem::path& path, const nlohmann::json& import) {
  const std::string name = path.filename().string();
  if (import.is_object() && import.contains("format")) return open_trace(path, import);
  if (name == "config.json" || name.ends_with(".safetensors.index.json")) return open_checkpoint(path.parent_path());
  const auto fits = import_candidates(path);  // an importance matrix is GGUF, too
  if (is_gguf_file(path) && (!fits || fits->empty())) return open_checkpoint(path);
  if (is_torch_name(name) && lies_in_checkpoint(path)) return open_checkpoint(path);
  const auto container = read_safetensors(path, Truncation::allowed);
  if (container && container->metadata.contains(trace_key)) return open_trace(path, import);
  if (container && lies_in_checkpoint(path)) return open_checkpoint(path);
  if (fits && !fits->empty()) return open_trace(path, import);
  if (container) {
    return fail(ErrorKind::input, "this safetensors file is no trace, and there is no config.json beside it",
                path.string(), looked_for);
  }
  if (name.ends_with(".safetensors")) return fail(container.error());
  return open_trace(path, import);  // says what was looked for
}

}  // namespace

Expected<Opened> open_path(const std::filesystem::path& given, const nlohmann::json& import) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(given, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return fail(ErrorKind::input, "there is no such file or folder", path.string(), "Check the path");
  }
  if (std::filesystem::is_directory(status)) {
    if (std::filesystem::exists(path / "config.json", error) || has_gguf(path)) return open_checkpoint(path);
    auto trace = open_trace(path, import);
    if (trace || trace.error().kind == ErrorKind::usage) return trace;
    return fail(ErrorKind::input,
                "this folder has no config.json, so it is no checkpoint, and no trace can be read from it",
                path.string(), trace.error().text());
  }
  if (!std::filesystem::is_regular_file(status)) {
    return fail(ErrorKind::input, "this is neither a file nor a folder", path.string(), looked_for);
  }
  if (std::filesystem::file_size(path, error) == 0) {
    return fail(ErrorKind::input, "the file is empty", path.string(), looked_for);
  }
  return open_file(path, import);
}

}  // namespace moescope
