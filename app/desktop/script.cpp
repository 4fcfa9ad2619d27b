#include "app/desktop/script.h"

#include <QCoreApplication>
#include <fstream>
#include <iostream>

#include "core/workbench/script.h"
#include "views/shell/error_bar.h"
#include "views/shell/main_window.h"

namespace moescope {
namespace {

Error error_of(const nlohmann::json& reply) {
  const nlohmann::json error = reply.value("error", nlohmann::json::object());
  return {error_kind_from_name(error.value("kind", "internal")), error.value("what", ""), error.value("where", ""),
          error.value("advice", "")};
}

// Shows the error of a failed line; the reply then says what the window shows.
std::string shown(MainWindow& window, const std::string& line) {
  nlohmann::json reply = nlohmann::json::parse(line, nullptr, false);
  if (!reply.is_object() || reply.value("ok", true)) return line;
  window.context().show_error(error_of(reply));
  QCoreApplication::processEvents();
  const auto& log = window.errors().log();
  reply["shown"] = window.errors().isVisible() && !log.empty() ? log.back().error.text() : std::string();
  return reply.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Expected<int> run_window_script(Workbench& workbench, MainWindow& window, const QString& path) {
  std::ifstream file;
  const bool standard = path == QLatin1String("-");
  if (!standard) {
    file.open(path.toStdString());
    if (!file) return fail(ErrorKind::input, "cannot read the script", path.toStdString(), "Check the name.");
  }
  std::istream& in = standard ? std::cin : file;
  int failed = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string reply = run_script_line(workbench, line);
    if (reply.empty()) continue;
    const std::string seen = shown(window, reply);
    failed += seen != reply ? 1 : 0;
    // Flushed at once: whoever reads a reply knows that the action is stored.
    std::cout << seen << std::endl;
    QCoreApplication::processEvents();
  }
  return failed;
}

}  // namespace moescope
