// Observations of the REAP pruner, a torch file: {layer: {"total_tokens", "expert_frequency" [experts], …}}. Only the
// counts are taken: pairwise_expert_frequency there is a sum of two counts, not how often both were chosen.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/trace/import/formats/format_tools.h"
#include "core/trace/import/formats/torch_tools.h"

namespace moescope::reap {
namespace {

constexpr std::int64_t layer_limit = 10'000;
constexpr std::uint64_t expert_limit = 65'535;

ImportScore score(SourceFile& file) {
  if (file.kind() != FileKind::zip || !file.torch()) return {};
  const PickleDict* const dict = file.torch()->root.dict();
  if (dict == nullptr || dict->empty()) return {};
  const bool all = std::all_of(dict->begin(), dict->end(), [](const auto& item) {
    return item.first.integer() != nullptr && tensor_at(item.second, "expert_frequency") != nullptr;
  });
  return all ? ImportScore{95, "its layers have expert_frequency"} : ImportScore{};
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  SourceFile& file = *files.front();
  if (files.size() > 1)
    return fail(ErrorKind::usage, "several observations cannot become one trace", files[1]->place(),
                "Import one at a time");
  if (!file.torch()) return fail(file.torch().error());
  const PickleDict* const dict = file.torch()->root.dict();
  if (dict == nullptr)
    return fail(ErrorKind::input, "it is no dict of layers", file.place(), "Choose another --format");
  std::map<std::int64_t, std::vector<std::int64_t>> counts;
  RawTrace out;
  std::size_t experts = 0;
  for (const auto& [key, value] : *dict) {
    const std::int64_t* const layer = key.integer();
    const StridedTensor* const tensor = tensor_at(value, "expert_frequency");
    if (layer == nullptr || *layer < 0 || *layer >= layer_limit || tensor == nullptr || shape_of(*tensor).size() != 1 ||
        shape_of(*tensor)[0] == 0 || shape_of(*tensor)[0] > expert_limit) {
      return fail(ErrorKind::input, "an entry is no layer with expert_frequency [expert]", file.place(),
                  "Save the observations again");
    }
    auto values = contiguous_integers(*tensor);
    if (!values) return fail(values.error());
    experts = std::max(experts, values->size());
    counts.emplace(*layer, std::move(*values));
  }
  out.counts.steps = 1;
  out.counts.experts = experts;
  for (auto& [layer, values] : counts) {
    RawLayer row;
    row.layer = static_cast<int>(layer);
    values.resize(experts, 0);
    out.layers.push_back(row);
    out.counts.values.insert(out.counts.values.end(), values.begin(), values.end());
  }
  out.layers_absolute = true;
  return out;
}

const RegisterImporter registered{
    {"reap", "REAP observations", ".pt of layers with expert_frequency (REAP)", score, read}};

}  // namespace
}  // namespace moescope::reap
