#include <fmt/format.h>

#include "app/cli/describe.h"
#include "core/session/session.h"

namespace moescope::cli {
namespace {

std::string text_of(const nlohmann::json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
}

}  // namespace

Expected<Description> describe_session(const std::filesystem::path& path) {
  SessionOptions options;
  options.read_only = true;
  const auto session = Session::open(path, options);
  if (!session) return fail(session.error());
  Facts facts(fmt::format("Session {}", path.filename().string()));
  nlohmann::json json{{"kind", "session"}, {"file", path.string()}};
  facts.add("file", path.string());
  struct Kind {
    const char *kind, *name;
  };
  for (const Kind& k :
       {Kind{"source", "sources"}, Kind{"annotation", "notes"}, Kind{"state", "state"}, Kind{"option", "options"}}) {
    const auto items = session->items(k.kind);
    if (!items) return fail(items.error());
    std::vector<std::string> lines;
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [key, value] : *items) {
      list.push_back({{"key", key}, {"value", value}});
      const std::string kind = k.kind;
      if (kind == "source") {
        lines.push_back(
            fmt::format("{} {}, {}", text_of(value, "kind"), text_of(value, "name"), text_of(value, "path")));
      } else if (kind == "annotation") {
        const std::string anchor = text_of(value, "anchor");
        lines.push_back((anchor.empty() ? "" : anchor + ": ") + text_of(value, "text"));
      } else {
        lines.push_back(
            fmt::format("{} = {}", key, value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
      }
    }
    json[k.name] = list;
    facts.add(k.name, lines.empty() ? "none" : joined(lines, "\n"));
  }
  const auto actions = session->actions();
  if (!actions) return fail(actions.error());
  std::size_t undone = 0;
  for (const Action& action : *actions) undone += action.undone ? 1 : 0;
  facts.add("history",
            fmt::format("{} actions{}", actions->size(), undone == 0 ? "" : fmt::format(", {} undone", undone)));
  json["actions"] = actions->size();
  json["undone"] = undone;
  return Description{std::move(facts), std::move(json)};
}

}  // namespace moescope::cli
