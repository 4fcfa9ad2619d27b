#include "core/analysis/weights/checkpoint_analysis.h"

#include <algorithm>
#include <new>

#include "core/analysis/parameters.h"
#include "core/analysis/weights/weight_tools.h"

namespace moescope {

std::span<const CheckpointAnalysisSpec> checkpoint_analyses() {
  static const std::vector<CheckpointAnalysisSpec> list{model_card_analysis(),        tensors_analysis(),
                                                        router_weights_analysis(),    expert_norms_analysis(),
                                                        expert_similarity_analysis(), expert_spectra_analysis()};
  return list;
}

const CheckpointAnalysisSpec* find_checkpoint_analysis(const std::string& name) {
  const auto list = checkpoint_analyses();
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& spec) { return spec.about.name == name; });
  return found == list.end() ? nullptr : &*found;
}

Expected<Result> run_checkpoint_analysis(const std::string& name, const Checkpoint& checkpoint,
                                         const nlohmann::json& params, const WorkContext& work) {
  const CheckpointAnalysisSpec* spec = find_checkpoint_analysis(name);
  if (!spec) {
    std::string names;
    for (const auto& known : checkpoint_analyses()) names += (names.empty() ? "" : ", ") + known.about.name;
    return fail(ErrorKind::usage, "there is no analysis of checkpoints \"" + name + "\"", "", "Known are " + names);
  }
  try {
    auto checked = checked_parameters(spec->about, params);
    if (!checked) return fail(checked.error());
    auto result = spec->run(CheckpointInput{checkpoint, *checked, work});
    if (auto fault = checkpoint.fault()) return fail(std::move(*fault));
    if (!result) return result;
    if (work.cancelled()) return fail(ErrorKind::cancelled, "stopped", spec->about.title);
    Provenance& p = result->provenance;
    p.analysis = spec->about.name;
    p.version = spec->about.version;
    p.params = std::move(*checked);
    p.input_name = checkpoint.spec().name;
    p.input_hash = checkpoint.config_hash();
    p.command_line = analysis_command_line(spec->about, p.params, checkpoint.folder().string(), "");
    if (result->title.empty()) result->title = spec->about.title;
    return result;
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::device, "there is not enough memory", spec->about.title, "Close other programs");
  } catch (const std::exception& exception) {
    return fail(ErrorKind::internal, exception.what(), spec->about.title, "Please report this defect");
  }
}

}  // namespace moescope
