// The subcommands of moescope-cli, one file each. Each adds its options to the parser and, when it is the one chosen,
// leaves what is to be run. Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>

#include "core/base/error.h"

namespace moescope::cli {

// Texts and prompts to run: no file of more bytes is read.
inline constexpr std::size_t text_limit = std::size_t{1} << 30U;

// What the command line asks for; run after parsing, so that its errors are ours and not the parser's.
struct Chosen {
  std::function<Expected<void>()> run;
};

void add_info(CLI::App& app, Chosen& chosen);
void add_capture(CLI::App& app, Chosen& chosen);
void add_generate(CLI::App& app, Chosen& chosen);
void add_analyze(CLI::App& app, Chosen& chosen);
void add_session(CLI::App& app, Chosen& chosen);
void add_report(CLI::App& app, Chosen& chosen);
void add_script(CLI::App& app, Chosen& chosen);
void add_synth(CLI::App& app, Chosen& chosen);
void add_bench(CLI::App& app, Chosen& chosen);
void add_compare(CLI::App& app, Chosen& chosen);
void add_tokenize(CLI::App& app, Chosen& chosen);
void add_import(CLI::App& app, Chosen& chosen);
void add_export(CLI::App& app, Chosen& chosen);
void add_capture_server(CLI::App& app, Chosen& chosen);
void add_detokenize(CLI::App& app, Chosen& chosen);

}  // namespace moescope::cli
