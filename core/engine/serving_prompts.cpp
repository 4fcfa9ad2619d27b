#include "core/engine/serving.h"
#include "core/io/json_text.h"

namespace moescope {

Expected<std::vector<ServingPrompt>> serving_prompts_from_jsonl(std::string_view lines, const std::string& where) {
  std::vector<ServingPrompt> out;
  const auto use = [&](const nlohmann::json& json, const std::string& place) -> Expected<void> {
    const auto text = json.is_object() ? json.find("text") : json.end();
    if (!json.is_object() || text == json.end() || !text->is_string()) {
      return fail(ErrorKind::input, "the line has no \"text\"", place, "Write lines {\"text\": …, \"domain\": …}");
    }
    ServingPrompt prompt;
    prompt.text = text->get<std::string>();
    for (const auto& [name, value] : json.items()) {
      if (name == "text") continue;
      if (value.is_string()) prompt.tags[name] = value.get<std::string>();
      if (value.is_number() || value.is_boolean()) prompt.tags[name] = value.dump();
    }
    out.push_back(std::move(prompt));
    return {};
  };
  if (auto done = for_each_json_line(lines, where, use); !done) return fail(std::move(done.error()));
  if (out.empty()) return fail(ErrorKind::input, "there are no prompts in it", where, "Write lines {\"text\": …}");
  return out;
}

}  // namespace moescope
