#include "core/model/checkpoint_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "core/io/tensor_decode.h"

namespace moescope {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t problems_named = 3;

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Whether engines and analyses can read this weight.
bool readable(const TensorView& tensor, const WeightNames& names) {
  if (!names.blocks_suffix.empty() && tensor.type == DType::u8) return true;
  return can_decode(tensor.type);
}

std::vector<std::uint64_t> without_ones(const std::vector<std::uint64_t>& shape) {
  std::vector<std::uint64_t> out;
  for (const std::uint64_t size : shape) {
    if (size != 1) out.push_back(size);
  }
  return out;
}

// The scales of an F8 weight are there and have the right shape; else what is wrong.
std::optional<std::string> scale_problem(const ModelSpec& spec, const WeightNames& names, const NeededTensor& need,
                                         const std::map<std::string, TensorView>& tensors) {
  const std::string name = need.name + names.scale_suffix;
  const auto it = tensors.find(name);
  if (it == tensors.end()) return fmt::format("{} is missing, which scales {}", name, need.name);
  if (spec.block_rows == 0 || need.shape.size() < 2) {
    return fmt::format("{} is {}, but the config names no fp8 quantisation", need.name, dtype_name(DType::f8_e4m3));
  }
  std::vector<std::uint64_t> expected = need.shape;
  std::uint64_t& rows = expected[expected.size() - 2];
  std::uint64_t& columns = expected.back();
  rows = (rows + spec.block_rows - 1) / spec.block_rows;
  columns = (columns + spec.block_columns - 1) / spec.block_columns;
  if (it->second.shape != expected) {
    return fmt::format("{} has shape {}, {} expected", name, shape_text(it->second.shape), shape_text(expected));
  }
  if (!can_decode(it->second.type) || is_f8(it->second.type)) {
    return fmt::format("{} is {}; F32 expected", name, dtype_name(it->second.type));
  }
  return std::nullopt;
}

bool is_rotary_table(const std::string& name) {
  constexpr std::string_view ending = "rotary_emb.inv_freq";
  return name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

}  // namespace

Expected<void> check_tensors(const ModelSpec& spec, const WeightNames& names,
                             const std::map<std::string, TensorView>& tensors, const fs::path& folder) {
  std::vector<std::string> problems;
  std::size_t found = 0;
  for_each_needed_tensor(spec, names, [&](const NeededTensor& need) {
    const auto it = tensors.find(need.name);
    if (it == tensors.end()) {
      problems.push_back(fmt::format("{} is missing, shape {} expected", need.name, shape_text(need.shape)));
    } else if (without_ones(it->second.shape) != without_ones(need.shape)) {
      problems.push_back(
          fmt::format("{} has shape {}, {} expected", need.name, shape_text(it->second.shape), shape_text(need.shape)));
    } else if (!readable(it->second, names)) {
      problems.push_back(
          fmt::format("{} is {}, which cannot be read as weights", need.name, dtype_name(it->second.type)));
    } else if (auto problem = is_f8(it->second.type) ? scale_problem(spec, names, need, tensors) : std::nullopt) {
      problems.push_back(std::move(*problem));
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

std::vector<std::string> notes_of(const ModelSpec& spec, const WeightNames& names,
                                  const std::map<std::string, TensorView>& tensors,
                                  const std::vector<std::string>& unmapped, const fs::path& folder) {
  std::vector<std::string> notes;
  if (!unmapped.empty()) {
    notes.push_back(fmt::format("{} tensors are in the shards but not in the index, the first is {}", unmapped.size(),
                                unmapped.front()));
  }
  std::set<std::string> used;
  for_each_needed_tensor(spec, names, [&](const NeededTensor& need) { return used.insert(need.name), true; });
  std::size_t extra = 0, predicting = 0;
  // Layers after the last one predict several tokens ahead; nothing here uses them.
  const std::string after = fmt::format("model.layers.{}.", spec.layers.size());
  for (const auto& [name, view] : tensors) {
    if (used.count(name) != 0 || is_rotary_table(name)) continue;
    const bool scale = name.size() > names.scale_suffix.size() &&
                       used.count(name.substr(0, name.size() - names.scale_suffix.size())) != 0;
    if (scale) continue;
    if (spec.tied_embeddings && name == names[WeightRole::lm_head]) {
      notes.push_back("lm_head.weight is there but not used: the config ties it to the embedding");
    } else if (name.rfind(after, 0) == 0) {
      ++predicting;
    } else {
      ++extra;
    }
  }
  if (predicting != 0) {
    notes.push_back(fmt::format("{} tensors of layers that predict further tokens are not used", predicting));
  }
  if (extra != 0) notes.push_back(fmt::format("{} further tensors are not used by this family", extra));
  std::error_code error;
  const bool safetensors =
      fs::exists(folder / "model.safetensors", error) || fs::exists(folder / "model.safetensors.index.json", error);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool vendor = name.rfind("consolidated", 0) == 0 || name == "params.json" || name == "original";
    const bool pickle = safetensors && name.rfind("pytorch_model", 0) == 0 && it->path().extension() == ".bin";
    if (vendor || pickle)
      notes.push_back(fmt::format("{} was left out: the model's usual files hold the weights", name));
  }
  std::sort(notes.begin(), notes.end());
  return notes;
}

}  // namespace moescope
