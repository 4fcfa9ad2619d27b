// Scripts for the running window: the lines of core/workbench/script.h, with errors shown in the window as a person
// would see them. Main thread only.
#pragma once

#include <QString>

#include "core/workbench/workbench.h"

namespace moescope {

class MainWindow;

// Runs the file ("-" = standard input), one JSON object a line, and prints a reply a line as soon as the command
// returned. A failed line is shown in the window's error bar, and its reply carries what the bar shows as "shown".
// Gives the number of lines that failed; errors do not stop the script. Error (input): the file cannot be read.
[[nodiscard]] Expected<int> run_window_script(Workbench& workbench, MainWindow& window, const QString& path);

}  // namespace moescope
