// Commands on the filter: which tokens count.
#include <fmt/format.h>

#include <memory>

#include "core/workbench/state.h"

namespace moescope {
namespace {

// Nothing is stored that does not parse.
Expected<nlohmann::json> set_filter(WorkbenchState& state, const nlohmann::json& arguments, const std::string& text,
                                    const std::string& command) {
  const auto trace = state.active(SourceKind::trace)->trace;
  const auto applied = std::make_shared<AppliedFilter>();
  const auto work = [trace, text, applied]() -> Expected<void> {
    auto made = apply_filter(*trace, text);
    if (!made) return fail(made.error());
    *applied = std::move(*made);
    return {};
  };
  const auto finish = [&state, trace, text, applied, command]() -> Expected<nlohmann::json> {
    const Source* active = state.active(SourceKind::trace);
    if (!active || active->trace != trace) return nlohmann::json::object();  // another one was opened meanwhile
    Action action{0, command, text.empty() ? "clear the filter" : "filter " + text, "", false, {}};
    action.edits.push_back(set_edit("state", "filter", text.empty() ? nlohmann::json() : nlohmann::json(text)));
    const std::size_t kept = applied->mask.all() ? trace->token_count() : applied->mask.selected;
    state.filters.put(trace, std::move(*applied));
    return state.act(std::move(action), {{"tokens", kept}, {"of", trace->token_count()}});
  };
  return run_parts(state, arguments, {"Filter tokens", "filter", work, finish});
}

// A brush over tokens.
Expected<nlohmann::json> brush(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto first = id_argument(arguments, "first");
  if (!first) return fail(first.error());
  const auto count = id_argument(arguments, "count");
  if (!count) return fail(count.error());
  const auto total = static_cast<std::int64_t>(state.active(SourceKind::trace)->trace->token_count());
  if (*first < 0 || *count < 1 || *first >= total || *count > total - *first) {
    return fail(ErrorKind::usage, fmt::format("these tokens are not in the trace, which has {}", total),
                fmt::format("first {}, count {}", *first, *count));
  }
  return set_filter(state, arguments, fmt::format("token in {}..{}", *first, *first + *count - 1), "select.tokens");
}

}  // namespace

void add_filter_commands(WorkbenchState& state) {
  const auto needs = [&state] { return needs_trace(state); };
  add_command(state, {"filter.set",
                      "Filter tokens…",
                      "Counts only the tokens that an expression chooses.",
                      "",
                      "",  // Ctrl+F belongs to the box in which the program edits the filter
                      "view-filter",
                      {{"text", "domain == \"code\" && position < 128"}},
                      needs,
                      [&state](const nlohmann::json& a) -> Expected<nlohmann::json> {
                        const auto text = text_argument(a, "text");
                        if (!text) return fail(text.error());
                        return set_filter(state, a, *text, "filter.set");
                      },
                      true});
  add_command(state, {"filter.clear",
                      "Clear the filter",
                      "Counts all tokens again.",
                      "Edit",
                      "Ctrl+Shift+F",
                      "edit-clear-all",
                      {},
                      needs,
                      [&state](const nlohmann::json& a) { return set_filter(state, a, "", "filter.clear"); },
                      true});
  add_command(state, {"select.tokens",
                      "Filter to brushed tokens",
                      "Counts only a range of tokens.",
                      "",
                      "",
                      "select-rectangular",
                      {{"first", "first token"}, {"count", "number of tokens"}},
                      needs,
                      [&state](const nlohmann::json& a) { return brush(state, a); },
                      true});
}

}  // namespace moescope
