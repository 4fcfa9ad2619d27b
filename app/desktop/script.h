// Scripts for the running program: a file of lines as core/workbench/script.h has them, with the window following.
// Main thread only.
#pragma once

#include <QString>
#include <functional>

#include "core/workbench/workbench.h"

namespace moescope {

// Runs the file ("-" = standard input), one command a line, and prints one line of JSON per command to standard output
// as soon as it returned: whoever reads that knows that the action is stored. An error does not stop the script; it is
// also shown in the window. `settle` waits until the window shows the outcome. Error (input): no such script.
[[nodiscard]] Expected<void> run_script_file(Workbench& workbench, const QString& path,
                                             const std::function<void()>& settle,
                                             const std::function<void(const Error&)>& show_error);

}  // namespace moescope
