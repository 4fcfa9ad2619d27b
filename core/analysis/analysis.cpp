#include "core/analysis/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "core/analysis/common.h"
#include "core/analysis/parameters.h"

namespace moescope {
namespace {

// Shapes that the counting relies on. Readers check files; this guards against a segment that was built wrongly.
std::optional<Error> misshapen(const Trace& trace) {
  const auto wrong = [&](const char* column) {
    return Error{ErrorKind::input, fmt::format("column {} does not fit the trace", column), trace.name,
                 "Record or convert the trace again"};
  };
  if (!trace.info) return Error{ErrorKind::input, "the trace does not describe its routers", trace.name, ""};
  const std::size_t rows = trace.rows().size();
  for (const auto& row : trace.rows()) {
    if (row.experts == 0 || row.experts > 65535) {
      return Error{ErrorKind::input, fmt::format("a router of layer {} has {} experts", row.layer, row.experts),
                   trace.name, "Traces hold 1 to 65535 experts per router"};
    }
  }
  const auto fits = [](std::size_t size, std::size_t expected) { return size == 0 || size == expected; };
  for (const auto& segment : trace.segments) {
    const Segment& s = *segment;
    const std::size_t places = s.rows * s.tokens;
    if (s.rows != rows) return wrong("expert_ids");
    if (!fits(s.ids8.size(), places * s.slots) || !fits(s.ids16.size(), places * s.slots)) return wrong("expert_ids");
    if (!fits(s.used.size(), places)) return wrong("used");
    if (!fits(s.gate_weights.size(), places * s.slots)) return wrong("gate_weights");
    if (!fits(s.router_logits.size(), places * s.logit_width)) return wrong("router_logits");
    if (!fits(s.token_ids.size(), s.tokens)) return wrong("token_ids");
    if (!fits(s.sequence_ids.size(), s.tokens)) return wrong("sequence_ids");
    if (!fits(s.positions.size(), s.tokens)) return wrong("positions");
    for (const auto& [name, tag] : s.tags) {
      if (!fits(tag.codes.size(), s.tokens) || !fits(tag.numbers.size(), s.tokens))
        return wrong(("tags." + name).c_str());
    }
    for (const auto& [name, values] : s.token_values) {
      if (!fits(values.size(), s.tokens)) return wrong(("token." + name).c_str());
    }
    for (const auto& [name, values] : s.row_values) {
      if (!fits(values.size(), places)) return wrong(("row." + name).c_str());
    }
  }
  const ExpertCounts& counts = trace.counts;
  if (!counts.empty() && (counts.rows != rows || counts.values.size() != counts.steps * counts.rows * counts.emax)) {
    return wrong("expert_counts");
  }
  return std::nullopt;
}

}  // namespace

std::span<const AnalysisSpec> analyses() {
  static const std::vector<AnalysisSpec> list{
      expert_load_analysis(),    routing_entropy_analysis(), coactivation_analysis(), affinity_analysis(),
      domain_profile_analysis(), expert_tokens_analysis(),   token_routes_analysis(), token_loss_analysis(),
      route_graph_analysis(),    token_map_analysis()};
  return list;
}

const AnalysisSpec* find_analysis(const std::string& name) {
  const auto list = analyses();
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const AnalysisSpec& spec) { return spec.name == name; });
  return found == list.end() ? nullptr : &*found;
}

Expected<Result> run_analysis(const std::string& name, const Trace& trace, const AppliedFilter& filter,
                              const nlohmann::json& params, const WorkContext& work,
                              const std::function<void(Result)>& partial) {
  const AnalysisSpec* spec = find_analysis(name);
  if (!spec) {
    std::string names;
    for (const auto& known : analyses()) names += (names.empty() ? "" : ", ") + known.name;
    return fail(ErrorKind::usage, "there is no analysis \"" + name + "\"", "", "Known are " + names);
  }
  try {
    auto checked = checked_parameters(*spec, params);
    if (!checked) return fail(checked.error());
    if (auto fault = trace.source_fault()) return fail(std::move(*fault));
    if (auto bad = misshapen(trace)) return fail(std::move(*bad));
    const std::size_t tokens = trace.token_count();
    if (!filter.mask.all() && (filter.mask.tokens != tokens || filter.mask.bits.size() * 64 < tokens)) {
      return fail(ErrorKind::internal, "the filter was made for another trace", trace.name, "Set the filter again");
    }
    if (const std::string reason = spec->unavailable ? spec->unavailable(trace) : ""; !reason.empty()) {
      return fail(ErrorKind::input, fmt::format("{} is not available for this trace: it {}", spec->title, reason),
                  trace.name, "Record a trace that has it");
    }
    const auto complete = [&](Result& made) {
      Provenance& p = made.provenance;
      p.analysis = spec->name;
      p.version = spec->version;
      p.params = *checked;
      p.input_name = trace.name;
      p.input_hash = trace.content_hash;
      p.filter = filter.filter.text;
      p.tokens = filter.mask.all() ? tokens : filter.mask.selected;
      p.compute_type = trace.info->compute_type;
      p.command_line = analysis_command_line(*spec, p.params, trace.path.empty() ? trace.name : trace.path, p.filter);
      if (made.title.empty()) made.title = spec->title;
      if (trace.info->approximate) {
        made.caveats.push_back("The routes of this trace are approximate: " + *trace.info->approximate + ".");
      }
      if (trace.info->physical_ids) {
        made.caveats.push_back("Expert numbers are physical places of the serving engine, not experts of the model.");
      }
    };
    AnalysisInput input{trace, filter, *checked, work};
    if (partial) {
      input.partial = [&](Result part) {
        if (work.cancelled() || trace.source_fault()) return;
        complete(part);
        partial(std::move(part));
      };
    }
    auto result = spec->run(input);
    if (auto fault = trace.source_fault()) return fail(std::move(*fault));
    if (!result) return result;
    if (work.cancelled()) return fail(ErrorKind::cancelled, "stopped", spec->title);
    complete(*result);
    return result;
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::device, "there is not enough memory", spec->title, "Choose fewer tokens or rows");
  } catch (const std::exception& exception) {
    return fail(ErrorKind::internal, exception.what(), spec->title, "Please report this defect");
  }
}

}  // namespace moescope
