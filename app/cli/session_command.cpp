// session new|show|export|check: studies without a display.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/describe.h"
#include "core/io/output_file.h"
#include "core/session/session.h"
#include "core/workbench/workbench.h"

namespace moescope::cli {
namespace {

struct SessionCommandOptions {
  std::string path, out;
  std::vector<std::string> sources;
  bool json = false;
};

Expected<Session> open_read_only(const std::string& path) {
  SessionOptions options;
  options.read_only = true;
  return Session::open(path, options);
}

// Through the workbench's own commands, so that sources are checked and hashed as the desktop does it.
Expected<void> run_new(const SessionCommandOptions& options) {
  Workbench workbench{WorkbenchOptions{}};
  const auto made = workbench.commands().run("session.new", {{"path", options.path}});
  if (!made) return fail(made.error());
  std::optional<Error> bad;
  for (const std::string& source : options.sources) {
    const auto opened = workbench.commands().run("source.open", {{"path", source}});
    if (!opened && !bad) bad = opened.error();
    workbench.wait_for_jobs();
  }
  note(fmt::format("{}: {} source{}", options.path, workbench.sources().size(),
                   workbench.sources().size() == 1 ? "" : "s"));
  if (!bad) return {};
  bad->kind = options.sources.size() > 1 ? ErrorKind::partial : bad->kind;
  return fail(std::move(*bad));
}

Expected<void> run_show(const SessionCommandOptions& options) {
  const auto description = describe_session(options.path);
  if (!description) return fail(description.error());
  return options.json ? print_json(description->json) : print(description->facts.text());
}

Expected<void> run_export(const SessionCommandOptions& options) {
  const auto session = open_read_only(options.path);
  if (!session) return fail(session.error());
  const auto json = session->export_json();
  if (!json) return fail(json.error());
  if (options.out.empty()) return print_json(*json);
  if (auto ok = write_whole_file(options.out, json->dump(1) + "\n"); !ok) return ok;
  note(options.out);
  return {};
}

Expected<void> run_check(const SessionCommandOptions& options) {
  const auto session = open_read_only(options.path);
  if (!session) return fail(session.error());
  const auto problems = session->check();
  if (!problems) return fail(problems.error());
  if (problems->empty()) return print("nothing is wrong\n");
  if (auto ok = print(joined(*problems, "\n") + "\n"); !ok) return ok;
  return fail(ErrorKind::input, fmt::format("{} problem{}", problems->size(), problems->size() == 1 ? "" : "s"),
              options.path, "session export saves what can be read");
}

}  // namespace

void add_session(CLI::App& app, Chosen& chosen) {
  CLI::App* session = app.add_subcommand("session", "Make, show, export and check sessions");
  session->require_subcommand(1);
  const auto options = std::make_shared<SessionCommandOptions>();
  const auto add = [&](const char* name, const char* help, Expected<void> (*run)(const SessionCommandOptions&)) {
    CLI::App* command = session->add_subcommand(name, help);
    command->add_option("path", options->path, "Session file, *.moescope")->required();
    command->callback([options, run, &chosen] { chosen.run = [options, run] { return run(*options); }; });
    return command;
  };
  add("new", "Make a session, with traces and checkpoints in it", run_new)
      ->add_option("sources", options->sources, "Traces and checkpoint folders to put into it");
  add("show", "Say what is in a session", run_show)->add_flag("--json", options->json, "The same as JSON");
  add("export", "Write all of a session as JSON", run_export)
      ->add_option("--out", options->out, "File to write; standard output when absent");
  add("check", "Say what is wrong with a session; exit code 2 when something is", run_check);
}

}  // namespace moescope::cli
