// Commands of the window itself, in the same registry as the rest: showing views and panels, the palette, the log, the
// theme, a screenshot. Main thread only.
#pragma once

#include "views/shell/command_runner.h"

namespace moescope {

class MainWindow;

// Adds them and tells the runner which commands open a panel or dialog. Once, before menus are made.
void add_shell_commands(MainWindow& window, CommandRunner& runner);

}  // namespace moescope
