// Runs what a report needs on each trace.
#include <algorithm>
#include <set>

#include "core/analysis/analysis.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

// Past this many rows only the first ones are profiled in full; the information by layer still covers all.
constexpr std::size_t most_profiles = 12;

class Runner {
 public:
  Runner(const ReportSource& source, ReportTrace& out, const WorkContext& work)
      : source_(source), out_(out), work_(work) {}

  // False when the work was cancelled. Other errors become reasons that the report prints.
  bool run(const std::string& analysis, const std::string& key, const nlohmann::json& params) {
    if (work_.cancelled()) return false;
    auto result = run_analysis(analysis, source_.trace, source_.filter, params, work_);
    if (result) {
      out_.results[key] = std::make_shared<const Result>(std::move(*result));
      return true;
    }
    if (result.error().kind == ErrorKind::cancelled) return false;
    const AnalysisSpec* spec = find_analysis(analysis);
    const std::string reason = spec != nullptr && spec->unavailable ? spec->unavailable(source_.trace) : std::string();
    out_.unavailable.emplace(analysis, reason.empty() ? "gave no result: " + result.error().what : reason);
    return true;
  }

 private:
  const ReportSource& source_;
  ReportTrace& out_;
  const WorkContext& work_;
};

// The rows that the filter keeps.
std::vector<std::uint32_t> kept_rows(const ReportSource& source) {
  std::vector<std::uint32_t> rows = source.filter.filter.rows;
  if (rows.empty())
    for (std::uint32_t r = 0; r < source.trace.rows().size(); ++r) rows.push_back(r);
  return rows;
}

// "domain" where there is one, else the first tag.
std::string tag_of(const Trace& trace) {
  const auto& tags = trace.info->tag_names;
  return tags.count("domain") > 0 || tags.empty() ? "domain" : tags.begin()->first;
}

bool run_all(const ReportSource& source, const std::set<std::string>& sections, bool subject, ReportTrace& out,
             const WorkContext& work) {
  Runner runner(source, out, work);
  const auto needs = [&](const char* id) {
    return sections.empty() || sections.count(id) > 0 || (!subject && sections.count("comparison") > 0);
  };
  const std::vector<std::uint32_t> rows = kept_rows(source);
  if (rows.empty()) return true;
  if (needs("load") && !runner.run("expert_load", "expert_load", nlohmann::json::object())) return false;
  if (needs("affinity") && !runner.run("affinity", "affinity", {{"row", rows.front()}})) return false;
  if (needs("loss") && !runner.run("token_loss", "token_loss", nlohmann::json::object())) return false;
  if (needs("experts")) {
    const std::size_t profiles = subject ? std::min(rows.size(), most_profiles) : 1;
    for (std::size_t i = 0; i < profiles; ++i) {
      // Spread over the depth where there are too many layers for all.
      const std::uint32_t row = rows[profiles < 2 ? 0 : i * (rows.size() - 1) / (profiles - 1)];
      const std::string key = "domain_profile/" + std::to_string(subject ? row : 0);
      if (!runner.run("domain_profile", key, {{"row", row}, {"tag", tag_of(source.trace)}})) return false;
    }
  }
  if (!subject) return true;
  if (needs("certainty") && !runner.run("routing_entropy", "routing_entropy", nlohmann::json::object())) return false;
  if (!needs("experts")) return true;
  const std::vector<Specialist> leaders = specialists(out);
  const auto best =
      std::max_element(leaders.begin(), leaders.end(), [](const auto& a, const auto& b) { return a.share < b.share; });
  if (best == leaders.end()) return true;
  const std::string key = "expert_tokens/" + std::to_string(best->row) + "." + std::to_string(best->expert);
  return runner.run("expert_tokens", key, {{"row", best->row}, {"expert", best->expert}, {"top", 12}});
}

}  // namespace

Expected<Report> make_report(const std::vector<ReportSource>& sources, const ReportRequest& request,
                             const WorkContext& work) {
  ReportInput input;
  input.title = request.title;
  input.notes = request.notes;
  input.sections = request.sections;
  input.date = request.date;
  const std::set<std::string> sections(request.sections.begin(), request.sections.end());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const ReportSource& source = sources[i];
    if (!source.trace.info)
      return fail(ErrorKind::input, "the trace does not describe its routers", source.name,
                  "Record or convert the trace again.");
    ReportTrace trace;
    trace.name = source.name;
    trace.trace = source.trace;
    trace.filter = source.filter.filter.text;
    work.report("Report: " + source.name, static_cast<double>(i) / static_cast<double>(sources.size()));
    if (!run_all(source, sections, i == 0, trace, work))
      return fail(ErrorKind::cancelled, "the report was stopped", source.name);
    input.traces.push_back(std::move(trace));
  }
  return build_report(input);
}

}  // namespace moescope
