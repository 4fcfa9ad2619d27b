// Menus from the command registry: "File", "Edit/Layout" become menus and submenus; availability and its reason are
// asked when a menu opens. Main thread only.
#pragma once

#include <QMenuBar>
#include <functional>

#include "views/common/view.h"

namespace moescope {

// Fills the bar in the order File, Edit, Select, View, Analyse, Report, Window, Help, then others. Shortcuts of
// commands without a menu are bound to the window. `recent` fills the submenu of recent files.
void fill_menu_bar(QMenuBar& bar, ViewContext& context, const std::function<void(QMenu&)>& recent);

// The reason why a command cannot run now; empty = it can.
[[nodiscard]] QString unavailable_reason(const CommandSpec& spec);

}  // namespace moescope
