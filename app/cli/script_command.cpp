// script: the workbench's commands from a file, one JSON object per line; the same lines drive the desktop.
#include <fmt/format.h>

#include <fstream>
#include <iostream>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/workbench/script.h"
#include "core/workbench/workbench.h"

namespace moescope::cli {
namespace {

struct ScriptOptions {
  std::string file;
  bool list = false;
};

std::string command_list(const CommandRegistry& commands) {
  std::string out;
  for (const CommandSpec& spec : commands.all()) {
    out += fmt::format("{}\n    {}\n", spec.id, spec.help);
    for (const auto& [name, help] : spec.arguments) out += fmt::format("    {}: {}\n", name, help);
  }
  return out;
}

Expected<void> run_script_command(const ScriptOptions& options) {
  WorkbenchOptions workbench_options;
  workbench_options.engine = make_worker_engine();
  Workbench workbench(workbench_options);
  if (options.list) return print(command_list(workbench.commands()));
  std::ifstream file;
  if (options.file != "-") {
    file.open(options.file);
    if (!file) return fail(ErrorKind::input, "the script cannot be read", options.file, "Check the path");
  }
  const int failed = run_script(workbench, options.file == "-" ? std::cin : file, std::cout);
  if (failed == 0) return {};
  return fail(ErrorKind::partial, fmt::format("{} line{} failed", failed, failed == 1 ? "" : "s"), options.file,
              "The replies say why");
}

}  // namespace

void add_script(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<ScriptOptions>();
  CLI::App* command =
      app.add_subcommand("script", "Run the workbench's commands from a file, one JSON object per line");
  auto* input = command->add_option_group("input", "One of:");
  input->add_option("file", options->file,
                    "Lines like {\"command\": \"source.open\", \"arguments\": {\"path\": …}}; - = standard input");
  input->add_flag("--list", options->list, "List the commands and their arguments");
  input->require_option(1);
  command->callback([options, &chosen] { chosen.run = [options] { return run_script_command(*options); }; });
}

}  // namespace moescope::cli
