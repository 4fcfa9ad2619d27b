// analyze: one Result of one trace or checkpoint, as JSON or CSV.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/open_input.h"
#include "core/analysis/analysis.h"
#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/io/output_file.h"

namespace moescope::cli {
namespace {

struct AnalyzeOptions {
  std::string trace, analysis, tokens, out;
  std::vector<std::string> params;
  bool list = false;
};

Expected<nlohmann::json> parse_params(const std::vector<std::string>& given) {
  nlohmann::json params = nlohmann::json::object();
  for (const std::string& pair : given) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorKind::usage, fmt::format("\"{}\" is not name=value", pair), "--param",
                  "Write --param distance=2");
    }
    params[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return params;
}

std::string analysis_list() {
  std::string out;
  const auto add = [&](const AnalysisSpec& spec) {
    out += fmt::format("{}  {}\n    {}\n", spec.name, spec.title, spec.help);
    for (const ParameterSpec& p : spec.parameters) {
      const std::string choices = p.choices.empty() ? p.type : joined(p.choices, "|");
      out += fmt::format("    --param {}=…  {} [{}], default {}\n", p.name, p.help, choices, p.default_value.dump());
    }
  };
  out += "Of traces:\n";
  for (const AnalysisSpec& spec : analyses()) add(spec);
  out += "\nOf checkpoints:\n";
  for (const CheckpointAnalysisSpec& spec : checkpoint_analyses()) add(spec.about);
  return out;
}

Expected<std::string> rendered(const Result& result, const std::string& out) {
  const std::string suffix = std::filesystem::path(out).extension().string();
  if (suffix == ".json") return result_to_json(result).dump(1) + "\n";
  if (suffix == ".csv" || out.empty()) return result_to_csv(result);
  return fail(ErrorKind::usage, fmt::format("the suffix \"{}\" is no known kind of result", suffix), "--out",
              "Use .json or .csv");
}

Expected<Result> analyze_trace(const AnalyzeOptions& options, const nlohmann::json& params) {
  const auto trace = open_trace(options.trace);
  if (!trace) return fail(trace.error());
  const auto filter = apply_filter(**trace, options.tokens);
  if (!filter) return fail(filter.error());
  const ProgressBar bar(options.analysis);
  return run_analysis(options.analysis, **trace, *filter, params, bar.work());
}

Expected<Result> analyze_checkpoint(const AnalyzeOptions& options, const nlohmann::json& params) {
  if (!options.tokens.empty()) {
    return fail(ErrorKind::usage, "a checkpoint has no tokens to choose", "--tokens", "Leave it out");
  }
  const auto checkpoint = Checkpoint::open(options.trace);
  if (!checkpoint) return fail(checkpoint.error());
  const ProgressBar bar(options.analysis);
  return run_checkpoint_analysis(options.analysis, **checkpoint, params, bar.work());
}

Expected<void> run_analyze(const AnalyzeOptions& options) {
  if (options.list) return print(analysis_list());
  if (options.trace.empty() || options.analysis.empty()) {
    return fail(ErrorKind::usage, "a trace and --analysis are needed", "analyze",
                "Or --list, for the analyses there are");
  }
  const auto params = parse_params(options.params);
  if (!params) return fail(params.error());
  // A wrong suffix is found before the work, not after it.
  if (auto ok = rendered(Result{}, options.out); !ok) return fail(std::move(ok.error()));
  const bool of_weights = find_checkpoint_analysis(options.analysis) != nullptr;
  const auto result = of_weights ? analyze_checkpoint(options, *params) : analyze_trace(options, *params);
  if (!result) return fail(result.error());
  const auto text = rendered(*result, options.out);
  if (!text) return fail(text.error());
  if (options.out.empty()) return print(*text);
  if (auto ok = write_whole_file(options.out, *text); !ok) return ok;
  note(of_weights
           ? fmt::format("{}: {}", options.out, result->title)
           : fmt::format("{}: {} of {} tokens", options.out, result->title, with_commas(result->provenance.tokens)));
  for (const std::string& caveat : result->caveats) note("  " + caveat);
  return {};
}

}  // namespace

void add_analyze(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<AnalyzeOptions>();
  CLI::App* command = app.add_subcommand("analyze", "Compute a result from a trace or a checkpoint");
  command->add_option("trace", options->trace, "Trace file, or checkpoint folder for the analyses of weights");
  command->add_option("--analysis", options->analysis, "Name of the analysis; see --list");
  command->add_option("--param", options->params, "Parameter of the analysis as name=value; may be given again")
      ->allow_extra_args(false);
  command->add_option("--tokens", options->tokens, "Which tokens count: 'domain == \"code\" && position < 128'");
  command->add_option("--out", options->out, "R.json or R.csv; without it CSV goes to standard output");
  command->add_flag("--list", options->list, "List the analyses and their parameters");
  command->callback([options, &chosen] { chosen.run = [options] { return run_analyze(*options); }; });
}

}  // namespace moescope::cli
