#include "core/io/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace moescope {

Expected<nlohmann::json> parse_json(std::string_view text, const std::string& where) {
  using Json = nlohmann::json;
  constexpr const char* advice = "Copy or download the file again";
  if (text.size() > json_bytes_limit) {
    return fail(ErrorKind::input, fmt::format("the JSON has {} bytes, more than {}", text.size(), json_bytes_limit),
                where, "Check that this is the right file");
  }
  // A zero byte would end the text for the parser.
  if (text.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::input, "the JSON holds a zero byte", where, advice);
  }
  std::string problem;
  std::vector<std::set<std::string>> open_objects;
  // Once something is wrong everything further is discarded, so a hostile text costs no memory.
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (!problem.empty()) return false;
    if (depth > json_depth_limit) {
      problem = fmt::format("the JSON is nested more than {} deep", json_depth_limit);
      return false;
    }
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(value.get<std::string>()).second) {
      problem = fmt::format("the JSON has the key '{}' twice", value.get<std::string>());
      return false;
    }
    return true;
  };
  try {
    Json out = Json::parse(text.begin(), text.end(), watch);
    if (problem.empty()) return out;
  } catch (const Json::parse_error& error) {
    if (problem.empty()) {
      const std::size_t at = error.byte == 0 ? 0 : error.byte - 1;
      return fail(ErrorKind::input, "this is not valid UTF-8 JSON", fmt::format("{}, byte {}", where, at), advice);
    }
  } catch (const std::exception& error) {
    return fail(ErrorKind::input, fmt::format("the JSON cannot be read: {}", error.what()), where, advice);
  }
  return fail(ErrorKind::input, problem, where, advice);
}

Expected<void> for_each_json_line(std::string_view lines, const std::string& where, const JsonLineUse& use) {
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}, line {}", where, number);
    const auto json = parse_json(line, place);
    if (!json) return fail(json.error());
    if (auto done = use(*json, place); !done) return done;
  }
  return {};
}

}  // namespace moescope
