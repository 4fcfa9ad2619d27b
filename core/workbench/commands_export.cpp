// Commands that write Results and reports to files.
#include <fmt/format.h>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/base/clock.h"
#include "core/io/output_file.h"
#include "core/workbench/state.h"

namespace moescope {
namespace {

// Computed and written in a job; the reply names it.
Expected<nlohmann::json> export_result(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto analysis = text_argument(arguments, "analysis");
  if (!analysis) return fail(analysis.error());
  const CheckpointAnalysisSpec* of_checkpoint = find_checkpoint_analysis(*analysis);
  const AnalysisSpec* spec = of_checkpoint ? &of_checkpoint->about : find_analysis(*analysis);
  if (!spec) {
    std::string known;
    for (const AnalysisSpec& one : analyses()) known += (known.empty() ? "" : ", ") + one.name;
    for (const CheckpointAnalysisSpec& one : checkpoint_analyses()) known += ", " + one.about.name;
    return fail(ErrorKind::usage, "there is no analysis " + *analysis, "", "The analyses are " + known);
  }
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  const std::string suffix = path->extension().string();
  if (suffix != ".csv" && suffix != ".json") {
    return fail(ErrorKind::usage, "results are written as .csv or .json", path->string(), "Choose one of the two");
  }
  const auto params = arguments.value("params", nlohmann::json::object());
  const Source* source = state.active(of_checkpoint ? SourceKind::checkpoint : SourceKind::trace);
  if (!source || !(of_checkpoint ? source->checkpoint != nullptr : source->trace != nullptr)) {
    return fail(ErrorKind::usage, of_checkpoint ? "there is no checkpoint to analyse" : "there is no trace to analyse",
                spec->title, of_checkpoint ? "Open a checkpoint" : "Open a trace, or run a prompt");
  }
  const auto work = [trace = source->trace, checkpoint = source->checkpoint, weights = of_checkpoint != nullptr,
                     filter = state.filter, name = *analysis, params, path = *path,
                     csv = suffix == ".csv"](const WorkContext& context) -> Expected<void> {
    const auto result = weights ? run_checkpoint_analysis(name, *checkpoint, params, context)
                                : run_analysis(name, *trace, filter, params, context);
    if (!result) return fail(result.error());
    return write_whole_file(path, csv ? result_to_csv(*result) : result_to_json(*result).dump(1));
  };
  const std::int64_t id =
      state.jobs.start({"Export " + spec->title, "", JobLane::pool, work, [&state](const Expected<void>& outcome) {
                          if (!outcome && outcome.error().kind != ErrorKind::cancelled) {
                            state.show_error(outcome.error());
                          }
                        }});
  return nlohmann::json{{"job", id}, {"path", path->string()}};
}

// The traces that a report is about: those asked for, else the active one. The active filter counts where it applies.
Expected<std::vector<ReportSource>> report_sources_of(const WorkbenchState& state, const nlohmann::json& arguments) {
  std::vector<std::int64_t> ids = arguments.value("traces", std::vector<std::int64_t>{});
  if (ids.empty()) ids = {state.active_trace};
  std::vector<ReportSource> sources;
  for (const std::int64_t id : ids) {
    const Source* source = state.find_source(id);
    if (!source || source->kind != SourceKind::trace) {
      return fail(ErrorKind::usage, fmt::format("there is no trace {}", id));
    }
    if (!source->trace) return fail(source->error.value_or(Error{ErrorKind::input, "the trace is not open", "", ""}));
    AppliedFilter filter = state.filter;
    if (id != state.active_trace) {
      auto applied = apply_filter(*source->trace, state.filter.filter.text);
      if (!applied) return fail(applied.error());
      filter = std::move(*applied);
    }
    sources.push_back({source->name, *source->trace, std::move(filter)});
  }
  return sources;
}

// The report is made and, as HTML, written in a job; other writers are the program's own and run on the main thread.
Expected<nlohmann::json> export_report(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  const std::string suffix = path->extension().string();
  const bool html = suffix == ".html" || suffix == ".htm";
  const auto writer = state.options.report_writers.find(suffix);
  if (!html && writer == state.options.report_writers.end()) {
    std::string known = ".html";
    for (const auto& [name, write] : state.options.report_writers) known += ", " + name;
    return fail(ErrorKind::usage, "reports cannot be written in this format", path->string(),
                "This program writes " + known);
  }
  auto sources = report_sources_of(state, arguments);
  if (!sources) return fail(sources.error());
  ReportRequest request;
  request.title = arguments.value("title", "");
  request.sections = arguments.value("sections", std::vector<std::string>{});
  request.date = utc_now().substr(0, 10);
  for (const Annotation& note : state.annotations) request.notes.push_back({note.anchor, note.text});
  auto report = std::make_shared<Report>();
  const auto work = [report, html, request, sources = std::move(*sources),
                     path = *path](const WorkContext& context) -> Expected<void> {
    auto made = make_report(sources, request, context);
    if (!made) return fail(made.error());
    *report = std::move(*made);
    return html ? write_whole_file(path, report_to_html(*report)) : Expected<void>();
  };
  const auto finished = [&state, report, html, path = *path, suffix](const Expected<void>& outcome) {
    Expected<void> written = outcome;
    if (written && !html) written = state.options.report_writers.at(suffix)(*report, path);
    if (!written && written.error().kind != ErrorKind::cancelled) state.show_error(written.error());
  };
  const std::int64_t id = state.jobs.start({"Report", "", JobLane::pool, work, finished});
  return nlohmann::json{{"job", id}, {"path", path->string()}};
}

}  // namespace

void add_export_commands(WorkbenchState& state) {
  add_command(state, {"report.export",
                      "Export report…",
                      "Writes a report on the trace: figures, tables and what is known.",
                      "File",
                      "Ctrl+E",
                      "document-print",
                      {{"path", "file.html, or another suffix this program can write"},
                       {"sections", "ids of sections; all when left out"},
                       {"title", "of the report"},
                       {"traces", "ids of traces to compare; the active one when left out"}},
                      [&state] { return needs_trace(state); },
                      [&state](const nlohmann::json& a) { return export_report(state, a); }});
  add_command(state,
              {"result.export",
               "Export result…",
               "Writes a Result as CSV or JSON, by the file's suffix.",
               "File",
               "",
               "document-export",
               {{"analysis", "\"expert_load\""}, {"params", "its parameters"}, {"path", "file.csv or file.json"}},
               [&state] { return state.active(SourceKind::checkpoint) ? std::string() : needs_trace(state); },
               [&state](const nlohmann::json& a) { return export_result(state, a); }});
}

}  // namespace moescope
