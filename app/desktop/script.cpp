#include "app/desktop/script.h"

#include <fstream>
#include <iostream>

namespace moescope {
namespace {

nlohmann::json error_json(const Error& error) {
  return {
      {"kind", error_kind_name(error.kind)}, {"what", error.what}, {"where", error.where}, {"advice", error.advice}};
}

Expected<nlohmann::json> run_line(Workbench& workbench, const std::string& line, std::string& id) {
  const std::size_t space = line.find_first_of(" \t");
  id = line.substr(0, space);
  nlohmann::json arguments = nlohmann::json::object();
  if (space != std::string::npos && line.find_first_not_of(" \t", space) != std::string::npos) {
    arguments = nlohmann::json::parse(line.substr(space), nullptr, false);
    if (!arguments.is_object())
      return fail(ErrorKind::usage, "the arguments are not a JSON object", line, "Write: id {\"name\": value}.");
  }
  return workbench.commands().run(id, arguments);
}

}  // namespace

Expected<ScriptOutcome> run_script(Workbench& workbench, const QString& path, const std::function<void()>& settle,
                                   const std::function<void(const Error&)>& show_error) {
  std::ifstream file;
  const bool standard = path == QLatin1String("-");
  if (!standard) {
    file.open(path.toStdString());
    if (!file) return fail(ErrorKind::input, "cannot read the script", path.toStdString(), "Check the name.");
  }
  std::istream& in = standard ? std::cin : file;
  ScriptOutcome outcome;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    line.erase(0, line.find_first_not_of(" \t") == std::string::npos ? line.size() : line.find_first_not_of(" \t"));
    if (line.empty() || line.front() == '#') continue;
    std::string id;
    const auto done = run_line(workbench, line, id);
    nlohmann::json report = {{"line", number}, {"command", id}, {"ok", done.has_value()}};
    if (done) {
      ++outcome.done;
      report["value"] = *done;
    } else {
      ++outcome.failed;
      report["error"] = error_json(done.error());
      show_error(done.error());
    }
    // Printed as soon as the command returned: whoever reads knows that it is stored.
    std::cout << report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    settle();
  }
  return outcome;
}

}  // namespace moescope
