// llama.cpp importance matrices (GGUF, general.type "imatrix"): blk.N.ffn_{gate,up,down}_exps.weight.counts holds how
// many tokens were routed to each expert. Their sum over k is the number of tokens. Available for nearly every
// quantised model, but counts only.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/io/gguf.h"
#include "core/trace/import/formats/format_tools.h"

namespace moescope::imatrix {
namespace {

constexpr std::uint64_t expert_limit = 65'535;
constexpr std::int64_t layer_limit = 10'000;

// N of blk.N.ffn_X_exps.weight.counts, and X.
struct CountsName {
  std::int64_t layer = -1;
  std::string matrix;
};
CountsName parse(std::string_view name) {
  CountsName out;
  constexpr std::string_view prefix = "blk.", suffix = "_exps.weight.counts";
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return out;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  const std::size_t dot = name.find(".ffn_");
  if (dot == std::string_view::npos) return out;
  const auto layer = whole_number(name.substr(0, dot));
  if (!layer || *layer < 0 || *layer >= layer_limit) return out;
  out.layer = *layer;
  out.matrix = name.substr(dot + 5);
  return out;
}

ImportScore score(SourceFile& file) {
  if (file.kind() != FileKind::gguf || !file.gguf()) return {};
  const GgufValue* const type = file.gguf()->find("general.type");
  if (type == nullptr || type->text() == nullptr || *type->text() != "imatrix") return {};
  return {95, "its general.type is imatrix"};
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  SourceFile& file = *files.front();
  if (files.size() > 1)
    return fail(ErrorKind::usage, "several matrices cannot become one trace", files[1]->place(),
                "Import one at a time");
  if (!file.gguf()) return fail(file.gguf().error());
  std::map<std::int64_t, std::map<std::string, const TensorView*>> layers;
  for (const TensorView& tensor : file.gguf()->tensors) {
    const CountsName name = parse(tensor.name);
    if (name.layer >= 0) layers[name.layer][name.matrix] = &tensor;
  }
  if (layers.empty()) {
    return fail(ErrorKind::input, "no tensor of it counts experts (blk.N.ffn_gate_exps.weight.counts)", file.place(),
                "The model has no experts, or the file is of before counts were kept: make it again");
  }
  RawTrace out;
  std::size_t experts = 0, differing = 0;
  std::vector<std::vector<double>> rows;
  for (const auto& [layer, matrices] : layers) {
    const TensorView* chosen = nullptr;
    for (const char* matrix : {"gate", "gate_up", "up", "down"}) {
      const auto found = matrices.find(matrix);
      if (chosen == nullptr && found != matrices.end()) chosen = found->second;
    }
    if (chosen == nullptr) chosen = matrices.begin()->second;
    if (chosen->type != DType::f32 || chosen->elements() == 0 || chosen->elements() > expert_limit) {
      return fail(ErrorKind::input, "the counts are not a float for each expert", file.place() + ", " + chosen->name,
                  "Make the matrix again");
    }
    TensorView flat = *chosen;
    flat.shape = {1, chosen->elements()};
    std::vector<double> counts = tensor_numbers(flat);
    for (const auto& [matrix, tensor] : matrices) {
      TensorView other = *tensor;
      other.shape = {1, tensor->elements()};
      differing += tensor->type == DType::f32 && tensor_numbers(other) != counts ? 1U : 0U;
    }
    experts = std::max(experts, counts.size());
    rows.push_back(std::move(counts));
  }
  std::vector<double> values;
  for (auto& row : rows) {
    row.resize(experts, 0);
    values.insert(values.end(), row.begin(), row.end());
  }
  const std::vector<std::uint64_t> shape{rows.size(), experts};
  auto counted = counts_trace(values, shape, file.place());
  if (!counted) return counted;
  std::size_t place = 0;
  for (const auto& [layer, matrices] : layers) counted->layers[place++].layer = static_cast<int>(layer);
  counted->layers_absolute = true;
  if (differing > 0)
    counted->notes.push_back(
        fmt::format("{} matrices count otherwise than the first of their layer, which was taken.", differing));
  if (const GgufValue* const data = file.gguf()->find("imatrix.datasets");
      data != nullptr && data->texts() != nullptr) {
    counted->notes.push_back(fmt::format("Made from: {}.", fmt::join(*data->texts(), ", ")));
  }
  return counted;
}

const RegisterImporter registered{
    {"imatrix", "llama.cpp importance matrix", "GGUF of type imatrix with counts per expert (llama.cpp)", score, read}};

}  // namespace
}  // namespace moescope::imatrix
