// moescope-cli: parses the command line, runs the chosen subcommand and turns its error into an exit code.
#include <cstdio>
#include <exception>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/base/threads.h"
#include "core/base/version.h"

namespace {

using namespace moescope;
using namespace moescope::cli;

constexpr const char* exit_codes =
    "Exit codes: 0 done, 1 wrong usage, 2 bad input, 3 engine module missing or failed,\n"
    "4 device out of memory or failed, 5 partly done, 130 stopped.";

int run(int argc, char** argv) {
  CLI::App app{"MoEScope: see how mixture-of-experts models route every token", "moescope-cli"};
  app.set_version_flag("--version", std::string("moescope-cli ") + version_text + " (build " + build_id_text + ")");
  app.require_subcommand(1);
  app.footer(exit_codes);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("moescope-cli: ") + error.what() + "\nRun it with --help for what there is.\n";
  });
  Chosen chosen;
  add_info(app, chosen);
  add_capture(app, chosen);
  add_generate(app, chosen);
  add_capture_server(app, chosen);
  add_import(app, chosen);
  add_export(app, chosen);
  add_analyze(app, chosen);
  add_report(app, chosen);
  add_session(app, chosen);
  add_script(app, chosen);
  add_synth(app, chosen);
  add_compare(app, chosen);
  add_bench(app, chosen);
  add_tokenize(app, chosen);
  add_detokenize(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(ErrorKind::usage);
  }
  const Expected<void> done = chosen.run();
  if (done) return 0;
  print_error(done.error());
  return exit_code(done.error().kind);
}

}  // namespace

int main(int argc, char** argv) {
  moescope::prepare_process_environment();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "moescope-cli: a defect of the program: %s\n", error.what());
    return exit_code(ErrorKind::internal);
  }
}
