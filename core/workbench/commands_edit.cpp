// Undo, redo and options.
#include "core/workbench/state.h"

namespace moescope {
namespace {

Expected<nlohmann::json> step(WorkbenchState& state, Expected<Action> action) {
  if (!action) return fail(action.error());
  state.notify(state.reload() | static_cast<Changes>(Change::undo));
  return nlohmann::json{{"action", action->sequence}, {"title", action->title}, {"undone", action->undone}};
}

// Dragging a slider sets one option many times; one undo takes it back to where the drag began.
Expected<nlohmann::json> set_option(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto name = text_argument(arguments, "name");
  if (!name) return fail(name.error());
  if (name->empty()) return fail(ErrorKind::usage, "an option needs a name");
  const auto value = arguments.find("value");
  if (value == arguments.end()) return fail(ErrorKind::usage, "this needs the argument `value`", *name);
  Action action{0, "option.set", "set " + *name, "option." + *name, false, {}};
  action.edits.push_back(set_edit("option", *name, *value));
  return state.act(std::move(action));
}

}  // namespace

void add_edit_commands(WorkbenchState& state) {
  add_command(
      state, {"edit.undo",
              "Undo",
              "Takes the last action back.",
              "Edit",
              "Ctrl+Z",
              "edit-undo",
              {},
              [&state]() -> std::string { return state.session.next_undo().empty() ? "there is nothing to undo" : ""; },
              [&state](const nlohmann::json&) { return step(state, state.session.undo()); }});
  add_command(
      state, {"edit.redo",
              "Redo",
              "Does again what was undone.",
              "Edit",
              "Ctrl+Shift+Z",
              "edit-redo",
              {},
              [&state]() -> std::string { return state.session.next_redo().empty() ? "there is nothing to redo" : ""; },
              [&state](const nlohmann::json&) { return step(state, state.session.redo()); }});
  add_command(state, {"option.set",
                      "Set option…",
                      "Changes an option of a view or figure.",
                      "",
                      "",
                      "configure",
                      {{"name", "\"experts.sort\""}, {"value", "any JSON value; null for the default"}},
                      {},
                      [&state](const nlohmann::json& a) { return set_option(state, a); }});
}

}  // namespace moescope
