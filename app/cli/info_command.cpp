// info: what a file is and what it knows.
#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/describe.h"
#include "app/cli/open_input.h"
#include "app/cli/torchscript.h"

namespace moescope::cli {
namespace {

struct InfoOptions {
  std::string path;
  bool json = false, torchscript = false;
};

Expected<void> run_info(const InfoOptions& options) {
  if (options.torchscript) return describe_torchscript(options.path, options.json);
  const auto input = open_input(options.path);
  if (!input) return fail(input.error());
  Expected<Description> description = fail(ErrorKind::internal, "nothing to describe");
  if (const auto* checkpoint = std::get_if<std::shared_ptr<const Checkpoint>>(&*input)) {
    description = describe_checkpoint(**checkpoint);
  } else if (const auto* trace = std::get_if<std::shared_ptr<const Trace>>(&*input)) {
    description = describe_trace(**trace, options.path);
  } else {
    description = describe_session(std::get<SessionFile>(*input).path);
  }
  if (!description) return fail(std::move(description.error()));
  return options.json ? print_json(description->json) : print(description->facts.text());
}

}  // namespace

void add_info(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<InfoOptions>();
  CLI::App* command =
      app.add_subcommand("info", "Say what a checkpoint, trace or session is, and what it knows and does not");
  command->add_option("path", options->path, "Checkpoint folder, trace of any known format, or session")->required();
  command->add_flag("--torchscript", options->torchscript,
                    "The file is a TorchScript module: load it, which may run its code, and say where its routers are");
  command->add_flag("--json", options->json, "The same as JSON");
  command->callback([options, &chosen] { chosen.run = [options] { return run_info(*options); }; });
}

}  // namespace moescope::cli
