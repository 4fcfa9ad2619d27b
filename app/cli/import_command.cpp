// import and export: traces from and to the formats of other tools.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/open_input.h"
#include "core/trace/export/exporter.h"
#include "core/trace/import/importer.h"
#include "core/workbench/model_join.h"

namespace moescope::cli {
namespace {

struct ImportArguments {
  std::vector<std::string> files;
  std::string out, format, model;
  std::uint32_t k = 0, experts = 0, layers = 0;
  bool list = false, json = false, force = false;
};

std::string format_list() {
  std::string out;
  for (const Importer& importer : importers()) out += fmt::format("{:<16}  {}\n", importer.name, importer.layout);
  return out;
}

Expected<void> run_import(const ImportArguments& arguments) {
  if (arguments.list) return print(format_list());
  if (arguments.files.empty() || arguments.out.empty()) {
    return fail(ErrorKind::usage, "files to import and --out are needed", "import",
                "Or --list, for the formats there are");
  }
  if (auto free = check_output(arguments.out, arguments.force); !free) return free;
  ImportOptions options;
  options.format = arguments.format;
  options.k = arguments.k;
  options.experts = arguments.experts;
  options.layers = arguments.layers;
  if (!arguments.model.empty()) {
    if (auto joined = join_model(arguments.model, options); !joined) return joined;
  }
  const std::vector<std::filesystem::path> files(arguments.files.begin(), arguments.files.end());
  const auto report = [&] {
    const ProgressBar bar("Import");
    return import_to_file(files, arguments.out, options, bar.work());
  }();
  if (!report) return fail(report.error());
  note(fmt::format("{}: {} routers, {} tokens, read as {}", arguments.out, report->rows, with_commas(report->tokens),
                   report->format));
  for (const std::string& line : report->notes) note("  " + line);
  if (!arguments.json) return {};
  return print_json({{"out", arguments.out},
                     {"format", report->format},
                     {"rows", report->rows},
                     {"tokens", report->tokens},
                     {"notes", report->notes}});
}

struct ExportArguments {
  std::string trace, to, out;
  bool force = false;
};

Expected<void> run_export(const ExportArguments& arguments) {
  const auto exporter = find_exporter(arguments.to);
  if (!exporter) return fail(exporter.error());
  if (auto free = check_output(arguments.out, arguments.force); !free) return free;
  const auto trace = open_trace(arguments.trace);
  if (!trace) return fail(trace.error());
  std::vector<std::string> notes;
  auto written = [&] {
    const ProgressBar bar("Export");
    return (*exporter)->write(**trace, arguments.out, notes, bar.work());
  }();
  if (!written) return written;
  note(fmt::format("{}: {}", arguments.out, (*exporter)->title));
  for (const std::string& line : notes) note("  " + line);
  return {};
}

}  // namespace

void add_import(CLI::App& app, Chosen& chosen) {
  const auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = app.add_subcommand("import", "Turn the traces of other tools into MoEScope's trace file");
  command->add_option("files", arguments->files, "Files of one recording (its ranks or layers), or their folder");
  command->add_option("--out", arguments->out, "Trace file to write, T.routes.safetensors; must not exist yet");
  command->add_flag("--force", arguments->force, "Replace the file of --out if it exists");
  command->add_option("--format", arguments->format, "Format, where the content fits several; --list tells them");
  command->add_option("--model", arguments->model,
                      "Checkpoint folder, config.json or tokenizer.json of the model: layers, experts, token texts");
  command->add_option("--top-k", arguments->k, "Experts per token, where the files do not say")
      ->check(CLI::Range(1, 249));
  command->add_option("--experts", arguments->experts, "Experts per layer, where the files do not say")
      ->check(CLI::Range(1, 65'535));
  command->add_option("--layers", arguments->layers, "Layers, where the files do not say")
      ->check(CLI::Range(1, 100'000));
  command->add_flag("--list", arguments->list, "List the formats");
  command->add_flag("--json", arguments->json, "Print what became of it as JSON");
  command->footer("Formats, told by content:\n" + format_list());
  command->callback([arguments, &chosen] { chosen.run = [arguments] { return run_import(*arguments); }; });
}

void add_export(CLI::App& app, Chosen& chosen) {
  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = app.add_subcommand("export", "Write a trace in the format of another tool");
  command->add_option("trace", arguments->trace, "Trace of any format that import reads")->required();
  std::string formats;
  for (const Exporter& exporter : exporters()) formats += fmt::format("{:<16}  {}\n", exporter.name, exporter.title);
  command->add_option("--to", arguments->to, "Format, see below")->required();
  command->add_option("--out", arguments->out, "File to write; must not exist yet")->required();
  command->add_flag("--force", arguments->force, "Replace the file of --out if it exists");
  command->footer("Formats:\n" + formats);
  command->callback([arguments, &chosen] { chosen.run = [arguments] { return run_export(*arguments); }; });
}

}  // namespace moescope::cli
