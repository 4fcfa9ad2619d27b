#include "views/shell/shell_commands.h"

#include <QApplication>
#include <QMessageBox>

#include "core/base/version.h"
#include "views/common/figure_actions.h"
#include "views/shell/command_menu.h"
#include "views/shell/error_bar.h"
#include "views/shell/main_window.h"
#include "views/shell/notes_dialog.h"
#include "views/shell/palette.h"
#include "views/shell/prompt_panel.h"
#include "views/shell/query_box.h"
#include "views/shell/report_dialog.h"
#include "views/shell/shortcuts_dialog.h"

namespace moescope {
namespace {

using Json = nlohmann::json;

// A command without arguments that only does something to the window.
CommandSpec plain(std::string id, std::string title, std::string help, std::string menu, std::string shortcut,
                  std::string icon_name, std::function<void()> act) {
  CommandSpec spec;
  spec.id = std::move(id);
  spec.title = std::move(title);
  spec.help = std::move(help);
  spec.menu = std::move(menu);
  spec.shortcut = std::move(shortcut);
  spec.icon = std::move(icon_name);
  spec.run = [act = std::move(act)](const Json&) -> Expected<Json> {
    act();
    return Json::object();
  };
  return spec;
}

Expected<Json> take_screenshot(MainWindow& window, const Json& arguments) {
  const std::string path = arguments.value("path", "");
  if (window.grab().save(QString::fromStdString(path))) return Json{{"path", path}};
  return fail(ErrorKind::input, "cannot write the screenshot", path,
              "Use a name that ends in .png, in a folder that you may write to.");
}

Expected<Json> show_view(MainWindow& window, const Json& arguments) {
  const QString name = QString::fromStdString(arguments.value("name", ""));
  std::string known;
  for (const ViewSpec& spec : window.views()) {
    if (spec.name == name) {
      window.show_view(name);
      return Json::object();
    }
    known += (known.empty() ? "" : ", ") + spec.name.toStdString();
  }
  return fail(ErrorKind::usage, "there is no view of that name", name.toStdString(), "Views: " + known + ".");
}

}  // namespace

void add_shell_commands(MainWindow& window, CommandRunner& runner) {
  CommandRegistry& registry = window.context().workbench.commands();
  // A refused command is a defect of this list: it shows at the first start, in the error bar.
  const auto add = [&](CommandSpec spec) {
    if (const auto added = registry.add(std::move(spec)); !added) window.context().show_error(added.error());
  };
  int number = 1;
  for (const ViewSpec& view : window.views()) {
    add(plain("view." + view.name.toStdString(), view.title.toStdString(),
              "Show the view " + view.title.toStdString() + ".", "View", "Ctrl+" + std::to_string(number++),
              view.icon.toStdString(), [&window, name = view.name] { window.show_view(name); }));
  }
  CommandSpec show = plain("view.show", "Show a view", "Show a view by name.", "", "", "", [] {});
  show.arguments = {{"name", "name of the view"}};
  show.run = [&window](const Json& arguments) { return show_view(window, arguments); };
  add(std::move(show));
  CommandSpec shot = plain("window.screenshot", "Save a picture of the window…",
                           "Write the whole window as a PNG file.", "Window", "", "image", [] {});
  shot.arguments = {{"path", "PNG file to write"}};
  shot.run = [&window](const Json& arguments) { return take_screenshot(window, arguments); };
  add(std::move(shot));
  for (const char* theme : {"system", "dark", "light"}) {
    const std::string name = theme;
    add(plain("view.theme_" + name,
              name == "system" ? "Theme of the desktop" : (name == "dark" ? "Dark theme" : "Light theme"),
              "Use this theme from now on.", "View/Theme", "", "theme", [&window, name] {
                window.context().run("option.set", {{"name", "theme"}, {"value", name}});
              }));
  }
  add(plain("edit.palette", "Find a command…", "Every command, expert and token by name.", "Edit", "Ctrl+K", "search",
            [&window] { window.palette_box().open(); }));
  add(plain("figure.copy", "Copy figure as image", "Copy the figure of the shown view.", "Edit", "Ctrl+Shift+C", "copy",
            [&window] {
              if (View* view = window.view(); view && view->main_figure()) copy_figure_image(*view->main_figure());
            }));
  const std::vector<std::tuple<std::string, std::string, std::string>> docks = {
      {"project", "Project", "F9"}, {"inspector", "Inspector", "F10"}, {"strip", "Token strip", "F8"}};
  for (const auto& [name, title, keys] : docks)
    add(plain("window." + name, title, "Show or hide this panel.", "Window", keys, "",
              [&window, dock = QString::fromStdString(name) + QStringLiteral("_dock")] { window.toggle_dock(dock); }));
  add(plain("window.reset_layout", "Reset the layout", "Put every panel back to its place.", "Window", "", "",
            [&window] { window.reset_layout(); }));
  add(plain("window.full_screen", "Full screen", "Use the whole screen, or go back.", "Window", "F11", "",
            [&window] { window.setWindowState(window.windowState() ^ Qt::WindowFullScreen); }));
  add(plain("help.shortcuts", "Keyboard shortcuts", "All commands with their keys.", "Help", "Ctrl+/", "",
            [&window] { show_shortcuts(window.context(), window); }));
  add(plain("help.log", "Errors so far", "Every error that was shown since the start.", "Help", "", "log",
            [&window] { window.errors().show_log(); }));
  add(plain("help.about", "About MoEScope", "Version and licence.", "Help", "", "info", [&window] {
    QMessageBox::about(&window, QObject::tr("About MoEScope"),
                       QObject::tr("MoEScope %1\nA workbench for mixture-of-experts models.\nLicence: Apache-2.0.")
                           .arg(QLatin1String(version_text)));
  }));
  add(plain("file.quit", "Quit", "Close the program; the session is already saved.", "File", "Ctrl+Q", "",
            [&window] { window.close(); }));

  runner.set_opener("run.prompt", [&window] { window.prompt().open(); });
  runner.set_opener("run.generate", [&window] { window.prompt().open(); });
  runner.set_opener("report.export", [&window] { show_report_dialog(window.context(), window); });
  runner.set_opener("filter.set", [&window] { window.query().focus(); });
  runner.set_opener("note.add", [&window] { add_note(window.context(), window); });
}

}  // namespace moescope
