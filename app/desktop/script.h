// Scripts: commands for the running program, one a line: "source.open {\"path\": \"a.safetensors\"}". A line that
// starts with # is a comment. After each command all jobs are waited for. Main thread only.
#pragma once

#include <QString>
#include <functional>

#include "core/workbench/workbench.h"

namespace moescope {

struct ScriptOutcome {
  int done = 0, failed = 0;
};

// Runs the file ("-" = standard input) and prints one line of JSON per command to standard output:
// {"line": 3, "command": "…", "ok": true, "value": …} or with "error". An error does not stop the script.
// `settle` waits until the window shows the outcome.
[[nodiscard]] Expected<ScriptOutcome> run_script(Workbench& workbench, const QString& path,
                                                 const std::function<void()>& settle,
                                                 const std::function<void(const Error&)>& show_error);

}  // namespace moescope
