#include "app/desktop/script.h"

#include <fstream>
#include <iostream>

#include "core/workbench/script.h"

namespace moescope {
namespace {

// The error of a reply, to be shown as if the command had come from a menu.
void show_failure(const std::string& reply, const std::function<void(const Error&)>& show_error) {
  const auto json = nlohmann::json::parse(reply, nullptr, false);
  if (!json.is_object() || json.value("ok", true) || !json.contains("error")) return;
  const auto& error = json["error"];
  show_error({error_kind_from_name(error.value("kind", "")), error.value("what", ""), error.value("where", ""),
              error.value("advice", "")});
}

}  // namespace

Expected<void> run_script_file(Workbench& workbench, const QString& path, const std::function<void()>& settle,
                               const std::function<void(const Error&)>& show_error) {
  std::ifstream file;
  const bool standard = path == QLatin1String("-");
  if (!standard) {
    file.open(path.toStdString());
    if (!file) return fail(ErrorKind::input, "cannot read the script", path.toStdString(), "Check the name.");
  }
  std::istream& in = standard ? std::cin : file;
  for (std::string line; std::getline(in, line);) {
    const std::string reply = run_script_line(workbench, line);
    if (reply.empty()) continue;
    std::cout << reply << std::endl;
    show_failure(reply, show_error);
    settle();
  }
  return {};
}

}  // namespace moescope
