// Commands on the selection, which is the same in every view.
#include <fmt/format.h>

#include <algorithm>

#include "core/workbench/state.h"

namespace moescope {
namespace {

Expected<ExpertRef> expert_argument(const nlohmann::json& arguments, const char* row_name, const char* expert_name) {
  const auto row = id_argument(arguments, row_name);
  if (!row) return fail(row.error());
  const auto expert = id_argument(arguments, expert_name);
  if (!expert) return fail(expert.error());
  if (*row < 0 || *expert < 0 || *row > 0xFFFFFF || *expert > 0xFFFFFF) {
    return fail(ErrorKind::usage, "rows and experts count from 0", fmt::format("row {}, expert {}", *row, *expert));
  }
  return ExpertRef{static_cast<std::uint32_t>(*row), static_cast<std::uint32_t>(*expert)};
}

Expected<nlohmann::json> select(WorkbenchState& state, const Selection& selection, std::string command,
                                std::string title, std::string merge_key = {}) {
  if (!selection_fits(selection, state)) {
    return fail(ErrorKind::usage, "what is open does not have what is to be selected", title);
  }
  Action action{0, std::move(command), std::move(title), std::move(merge_key), false, {}};
  action.edits.push_back(set_edit("state", "selection", selection_to_json(selection)));
  return state.act(std::move(action));
}

// `add` toggles; without it the expert becomes the only one.
Expected<nlohmann::json> select_expert(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto expert = expert_argument(arguments, "row", "expert");
  if (!expert) return fail(expert.error());
  Selection next = state.selection;
  if (arguments.value("add", false)) {
    const auto found = std::find(next.experts.begin(), next.experts.end(), *expert);
    if (found != next.experts.end()) {
      next.experts.erase(found);
    } else {
      next.experts.push_back(*expert);
    }
  } else {
    next.experts = {*expert};
    next.link.reset();
  }
  return select(state, next, "select.expert", "select " + label_of(state, *expert));
}

Expected<nlohmann::json> select_link(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto from = expert_argument(arguments, "from_row", "from");
  if (!from) return fail(from.error());
  const auto to = expert_argument(arguments, "to_row", "to");
  if (!to) return fail(to.error());
  Selection next = state.selection;
  next.link = LinkRef{*from, *to};
  next.experts = {*from, *to};
  return select(state, next, "select.link",
                fmt::format("select {} → {}", label_of(state, *from), label_of(state, *to)));
}

// Stepping from token to token is one step for undo. `transient` steps (play) are not stored at all.
Expected<nlohmann::json> select_token(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto token = id_argument(arguments, "token");
  if (!token) return fail(token.error());
  if (*token < 0) return fail(ErrorKind::usage, "tokens count from 0");
  Selection next = state.selection;
  next.token = static_cast<std::uint64_t>(*token);
  const std::string title = fmt::format("select token {}", *token);
  if (!arguments.value("transient", false)) return select(state, next, "select.token", title, "select.token");
  if (!selection_fits(next, *state.active(SourceKind::trace)->trace)) {
    return fail(ErrorKind::usage, "the trace does not have what is to be selected", title);
  }
  if (next == state.selection) return nlohmann::json::object();
  state.selection = std::move(next);
  state.notify(static_cast<Changes>(Change::selection));
  return nlohmann::json::object();
}

}  // namespace

void add_selection_commands(WorkbenchState& state) {
  const auto needs = [&state] { return needs_trace(state); };
  add_command(state,
              {"select.expert",
               "Select expert…",
               "Selects an expert in every view.",
               "",
               "",
               "",
               {{"row", "router row, from 0"}, {"expert", "expert, from 0"}, {"add", "true to add or take away"}},
               [&state] { return needs_experts(state); },
               [&state](const nlohmann::json& a) { return select_expert(state, a); }});
  add_command(state,
              {"select.link",
               "Select link…",
               "Selects two experts and what connects them.",
               "",
               "",
               "",
               {{"from_row", "first row"}, {"from", "its expert"}, {"to_row", "second row"}, {"to", "its expert"}},
               needs,
               [&state](const nlohmann::json& a) { return select_link(state, a); }});
  add_command(state, {"select.token",
                      "Select token…",
                      "Selects a token in every view.",
                      "",
                      "Ctrl+G",
                      "",
                      {{"token", "token of the trace, from 0"}, {"transient", "true while playing: not kept"}},
                      needs,
                      [&state](const nlohmann::json& a) { return select_token(state, a); }});
  add_command(state, {"select.clear",
                      "Select nothing",
                      "Clears the selection.",
                      "Edit",
                      "Escape",
                      "edit-select-none",
                      {},
                      [&state] { return needs_experts(state); },
                      [&state](const nlohmann::json&) {
                        return select(state, Selection{}, "select.clear", "select nothing");
                      }});
}

}  // namespace moescope
