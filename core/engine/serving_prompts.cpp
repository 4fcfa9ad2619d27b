#include <fmt/format.h>

#include <algorithm>

#include "core/engine/serving.h"
#include "core/io/json_text.h"

namespace moescope {

Expected<std::vector<ServingPrompt>> serving_prompts_from_jsonl(std::string_view lines, const std::string& where) {
  std::vector<ServingPrompt> out;
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}, line {}", where, number);
    const auto json = parse_json(line, place);
    if (!json) return fail(json.error());
    const auto text = json->is_object() ? json->find("text") : json->end();
    if (!json->is_object() || text == json->end() || !text->is_string()) {
      return fail(ErrorKind::input, "the line has no \"text\"", place, "Write lines {\"text\": …, \"domain\": …}");
    }
    ServingPrompt prompt;
    prompt.text = text->get<std::string>();
    for (const auto& [name, value] : json->items()) {
      if (name == "text") continue;
      if (value.is_string()) prompt.tags[name] = value.get<std::string>();
      if (value.is_number() || value.is_boolean()) prompt.tags[name] = value.dump();
    }
    out.push_back(std::move(prompt));
  }
  if (out.empty()) return fail(ErrorKind::input, "there are no prompts in it", where, "Write lines {\"text\": …}");
  return out;
}

}  // namespace moescope
