// Commands that write Results to files.
#include "core/io/output_file.h"
#include "core/workbench/state.h"

namespace moescope {
namespace {

std::string needs_trace(const WorkbenchState& state) {
  const Source* trace = state.active(SourceKind::trace);
  return trace && trace->trace ? "" : "open a trace first";
}

// Computed and written in a job; the reply names it.
Expected<nlohmann::json> export_result(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto analysis = text_argument(arguments, "analysis");
  if (!analysis) return fail(analysis.error());
  const AnalysisSpec* spec = find_analysis(*analysis);
  if (!spec) {
    std::string known;
    for (const AnalysisSpec& one : analyses()) known += (known.empty() ? "" : ", ") + one.name;
    return fail(ErrorKind::usage, "there is no analysis " + *analysis, "", "The analyses are " + known);
  }
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  const std::string suffix = path->extension().string();
  if (suffix != ".csv" && suffix != ".json") {
    return fail(ErrorKind::usage, "results are written as .csv or .json", path->string(), "Choose one of the two");
  }
  const auto params = arguments.value("params", nlohmann::json::object());
  const auto trace = state.active(SourceKind::trace)->trace;
  const auto work = [trace, filter = state.filter, name = *analysis, params, path = *path,
                     csv = suffix == ".csv"](const WorkContext& context) -> Expected<void> {
    const auto result = run_analysis(name, *trace, filter, params, context);
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

}  // namespace

void add_export_commands(WorkbenchState& state) {
  add_command(state,
              {"result.export",
               "Export result…",
               "Writes a Result as CSV or JSON, by the file's suffix.",
               "File",
               "",
               "document-export",
               {{"analysis", "\"expert_load\""}, {"params", "its parameters"}, {"path", "file.csv or file.json"}},
               [&state] { return needs_trace(state); },
               [&state](const nlohmann::json& a) { return export_result(state, a); }});
}

}  // namespace moescope
