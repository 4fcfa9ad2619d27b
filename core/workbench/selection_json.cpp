// Selections as they are stored, and what they may point to.
#include <algorithm>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/workbench/state.h"

namespace moescope {

nlohmann::json selection_to_json(const Selection& selection) {
  if (selection.empty()) return nullptr;
  nlohmann::json json = nlohmann::json::object();
  for (const ExpertRef& e : selection.experts) json["experts"].push_back({e.row, e.expert});
  if (selection.link) {
    const auto& [from, to] = *selection.link;
    json["link"] = {from.row, from.expert, to.row, to.expert};
  }
  if (selection.token) json["token"] = *selection.token;
  return json;
}

Selection selection_from_json(const nlohmann::json& json) {
  Selection selection;
  if (!json.is_object()) return selection;
  try {
    for (const auto& one : json.value("experts", nlohmann::json::array())) {
      selection.experts.push_back({one.at(0).get<std::uint32_t>(), one.at(1).get<std::uint32_t>()});
    }
    if (const auto link = json.find("link"); link != json.end()) {
      selection.link = LinkRef{{link->at(0).get<std::uint32_t>(), link->at(1).get<std::uint32_t>()},
                               {link->at(2).get<std::uint32_t>(), link->at(3).get<std::uint32_t>()}};
    }
    if (const auto token = json.find("token"); token != json.end()) selection.token = token->get<std::uint64_t>();
  } catch (const nlohmann::json::exception&) {
    return Selection{};
  }
  return selection;
}

bool selection_fits(const Selection& selection, const Trace& trace) {
  const auto fits = [&](ExpertRef e) { return e.row < trace.rows().size() && e.expert < trace.rows()[e.row].experts; };
  for (const ExpertRef& e : selection.experts) {
    if (!fits(e)) return false;
  }
  if (selection.link && !(fits(selection.link->from) && fits(selection.link->to))) return false;
  return !selection.token || *selection.token < trace.token_count();
}

bool selection_fits(const Selection& selection, const WorkbenchState& state) {
  const Source* trace = state.active(SourceKind::trace);
  if (trace && trace->trace) return selection_fits(selection, *trace->trace);
  const Source* checkpoint = state.active(SourceKind::checkpoint);
  if (selection.empty()) return true;
  if (!checkpoint || !checkpoint->checkpoint || selection.link || selection.token) return false;
  const ModelSpec& spec = checkpoint->checkpoint->spec();
  const std::vector<std::uint32_t> layers = expert_layers(spec);
  return std::all_of(selection.experts.begin(), selection.experts.end(), [&](ExpertRef e) {
    return e.row < layers.size() && e.expert < spec.layers[layers[e.row]].experts;
  });
}

}  // namespace moescope
