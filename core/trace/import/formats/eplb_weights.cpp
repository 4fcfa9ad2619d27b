// Weights for DeepSeek's expert-parallel load balancer: estimated load [layer, expert], as a torch tensor or as JSON
// under "weight". Loads that are no whole numbers are scaled to whole ones, which keeps every share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/trace/import/formats/format_tools.h"
#include "core/trace/import/formats/torch_tools.h"

namespace moescope::eplb_weights {
namespace {

constexpr std::uint64_t layer_limit = 512, expert_limit = 4096;
constexpr double scaled_largest = 1e9;

const StridedTensor* weight_of(const PickleValue& root) {
  return root.tensor() != nullptr ? root.tensor() : tensor_at(root, "weight");
}

ImportScore score(SourceFile& file) {
  if (file.kind() == FileKind::json && file.json()) {
    const nlohmann::json* const weight = first_of(*file.json(), {"weight", "weights"});
    if (weight == nullptr || !json_array(*weight, 2)) return {};
    return {85, "it has weight [layer][expert]"};
  }
  if (file.kind() != FileKind::zip || !file.torch()) return {};
  const StridedTensor* const tensor = weight_of(file.torch()->root);
  if (tensor == nullptr || shape_of(*tensor).size() != 2 || repeats(*tensor)) return {};
  if (shape_of(*tensor)[0] > layer_limit || shape_of(*tensor)[1] > expert_limit || tensor->view.elements() == 0)
    return {};
  // Negative numbers are no load.
  const RawPlane plane = strided_plane(*tensor);
  std::vector<float> row(plane.width);
  for (std::uint64_t l = 0; l < shape_of(*tensor)[0]; ++l) {
    plane.numbers(l, row);
    if (std::any_of(row.begin(), row.end(), [](float v) { return !(v >= 0); })) return {};
  }
  return {file.torch()->root.tensor() != nullptr ? 60 : 80, "a tensor [layer, expert] of numbers of 0 or more"};
}

Expected<RawTrace> scaled(std::vector<double> values, std::vector<std::uint64_t> shape, const std::string& where) {
  const bool fractions = std::any_of(values.begin(), values.end(), [](double v) { return std::trunc(v) != v; });
  const double largest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  if (fractions && std::isfinite(largest) && largest > 0) {
    for (double& v : values) v = std::round(v * scaled_largest / largest);
  }
  auto out = counts_trace(values, shape, where);
  if (out && fractions) {
    out->notes.push_back(
        fmt::format("The weights are fractions: they are scaled so that the largest, {}, is {:.0f}. Shares are kept, "
                    "sums mean nothing.",
                    largest, scaled_largest));
    out->approximate = "the counts are scaled weights";
  }
  return out;
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  SourceFile& file = *files.front();
  if (files.size() > 1)
    return fail(ErrorKind::usage, "several weights cannot become one trace", files[1]->place(), "Import one at a time");
  if (file.kind() == FileKind::json) {
    if (!file.json()) return fail(file.json().error());
    const nlohmann::json* const weight = first_of(*file.json(), {"weight", "weights"});
    const auto array = weight == nullptr ? std::nullopt : json_array(*weight, 2);
    if (!array)
      return fail(ErrorKind::input, "there is no weight [layer][expert] in it", file.place(),
                  "Lists must all be of one length");
    return scaled(array->values, array->shape, file.place());
  }
  if (!file.torch()) return fail(file.torch().error());
  const StridedTensor* const tensor = weight_of(file.torch()->root);
  if (tensor == nullptr || shape_of(*tensor).size() != 2 || repeats(*tensor) ||
      tensor->view.elements() > layer_limit * expert_limit) {
    return fail(ErrorKind::input, "there is no tensor [layer, expert] in it", file.place(), "Choose another --format");
  }
  const RawPlane plane = strided_plane(*tensor);
  std::vector<float> row(plane.width);
  std::vector<std::int64_t> whole(plane.width);
  std::vector<double> values;
  for (std::uint64_t l = 0; l < shape_of(*tensor)[0]; ++l) {
    plane.numbers(l, row);
    plane.integers(l, whole);
    for (std::size_t e = 0; e < row.size(); ++e) {
      values.push_back(std::trunc(row[e]) == row[e] ? static_cast<double>(whole[e]) : static_cast<double>(row[e]));
    }
  }
  return scaled(std::move(values), shape_of(*tensor), file.place());
}

const RegisterImporter registered{
    {"eplb-weights", "EPLB weights (DeepSeek)", ".pt or JSON weight [layer, expert] (DeepSeek EPLB)", score, read}};

}  // namespace
}  // namespace moescope::eplb_weights
