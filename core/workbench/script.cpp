#include "core/workbench/script.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/io/json_text.h"

namespace moescope {
namespace {

nlohmann::json error_json(const Error& error) {
  return {
      {"kind", error_kind_name(error.kind)}, {"what", error.what}, {"where", error.where}, {"advice", error.advice}};
}

// A line in either form as the JSON object.
Expected<nlohmann::json> parse_line(const std::string& line) {
  if (line[0] == '{') return parse_json(line, "script line");
  const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
  nlohmann::json parsed = {{"command", line.substr(0, end)}};
  const std::size_t rest = line.find_first_not_of(" \t\r", end);
  if (rest == std::string::npos) return parsed;
  auto arguments = parse_json(std::string_view(line).substr(rest), "arguments of " + line.substr(0, end));
  if (!arguments) return fail(arguments.error());
  parsed["arguments"] = std::move(*arguments);
  return parsed;
}

Expected<nlohmann::json> run_parsed(Workbench& workbench, const nlohmann::json& line) {
  if (!line.is_object() || !line.contains("command") || !line["command"].is_string()) {
    return fail(ErrorKind::usage, "a script line must be an object with a \"command\"");
  }
  std::set<std::int64_t> earlier;
  for (const JobStatus& job : workbench.jobs()) earlier.insert(job.id);
  auto reply = workbench.commands().run(line["command"], line.value("arguments", nlohmann::json::object()));
  const auto wait = line.find("wait");
  if (!reply || wait == line.end() || *wait != true) return reply;
  workbench.wait_for_jobs();
  for (const JobStatus& job : workbench.jobs()) {
    if (!earlier.contains(job.id) && job.error) return fail(*job.error);
  }
  return reply;
}

}  // namespace

std::string run_script_line(Workbench& workbench, const std::string& given) {
  const std::size_t begin = given.find_first_not_of(" \t\r");
  if (begin == std::string::npos || given[begin] == '#') return {};
  const std::string line = given.substr(begin);
  nlohmann::json answer = nlohmann::json::object();
  const auto parsed = parse_line(line);
  const auto reply = parsed ? run_parsed(workbench, *parsed) : Expected<nlohmann::json>(fail(parsed.error()));
  if (parsed && parsed->is_object() && parsed->contains("command")) answer["command"] = (*parsed)["command"];
  answer["ok"] = reply.has_value();
  if (reply) {
    answer["reply"] = *reply;
  } else {
    answer["error"] = error_json(reply.error());
  }
  return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int run_script(Workbench& workbench, std::istream& in, std::ostream& out) {
  int failed = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string reply = run_script_line(workbench, line);
    if (reply.empty()) continue;
    if (!nlohmann::json::parse(reply).value("ok", false)) ++failed;
    out << reply << '\n' << std::flush;
  }
  return failed;
}

}  // namespace moescope
