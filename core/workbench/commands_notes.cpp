// Commands on notes.
#include <fmt/format.h>

#include <algorithm>

#include "core/workbench/state.h"

namespace moescope {
namespace {

nlohmann::json note_json(std::int64_t source, const std::string& anchor, const std::string& text) {
  return {{"source", source}, {"anchor", anchor}, {"text", text}};
}

Expected<nlohmann::json> add_note(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto text = text_argument(arguments, "text");
  if (!text) return fail(text.error());
  if (text->empty()) return fail(ErrorKind::usage, "a note needs a text");
  const std::string anchor = arguments.value("anchor", "");
  const Source* trace = state.active(SourceKind::trace);
  const std::int64_t source = arguments.value("source", trace && trace->id > 0 ? trace->id : std::int64_t{0});
  if (source != 0 && !state.find_source(source)) {
    return fail(ErrorKind::usage, fmt::format("there is no source {}", source));
  }
  const std::int64_t id = state.session.new_id();
  Action action{0, "note.add", anchor.empty() ? "add note" : "add note on " + anchor, "", false, {}};
  action.edits.push_back(set_edit("annotation", std::to_string(id), note_json(source, anchor, *text)));
  return state.act(std::move(action), {{"id", id}});
}

Expected<Annotation> find_note(const WorkbenchState& state, const nlohmann::json& arguments) {
  const auto id = id_argument(arguments, "id");
  if (!id) return fail(id.error());
  const auto found = std::find_if(state.annotations.begin(), state.annotations.end(),
                                  [&](const Annotation& note) { return note.id == *id; });
  if (found == state.annotations.end()) return fail(ErrorKind::usage, fmt::format("there is no note {}", *id));
  return *found;
}

Expected<nlohmann::json> edit_note(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto note = find_note(state, arguments);
  if (!note) return fail(note.error());
  const std::string text = arguments.value("text", note->text);
  const std::string anchor = arguments.value("anchor", note->anchor);
  Action action{0, "note.edit", "edit note", "", false, {}};
  action.edits.push_back(set_edit("annotation", std::to_string(note->id), note_json(note->source, anchor, text)));
  return state.act(std::move(action));
}

Expected<nlohmann::json> remove_note(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto note = find_note(state, arguments);
  if (!note) return fail(note.error());
  Action action{0, "note.remove", "remove note", "", false, {}};
  action.edits.push_back(set_edit("annotation", std::to_string(note->id), nullptr));
  return state.act(std::move(action));
}

std::string needs_note(const WorkbenchState& state) {
  return state.annotations.empty() ? "there are no notes" : "";
}

}  // namespace

void add_note_commands(WorkbenchState& state) {
  add_command(state, {"note.add",
                      "Add note…",
                      "Writes a note on what is selected, kept in the session.",
                      "Edit",
                      "Ctrl+M",
                      "note",
                      {{"text", "the note"}, {"anchor", "what it is on: \"L3·E04\""}, {"source", "source id"}},
                      {},
                      [&state](const nlohmann::json& a) { return add_note(state, a); }});
  add_command(state, {"note.edit",
                      "Edit note…",
                      "Changes a note.",
                      "",
                      "",
                      "document-edit",
                      {{"id", "note"}, {"text", "new text"}, {"anchor", "new anchor"}},
                      [&state] { return needs_note(state); },
                      [&state](const nlohmann::json& a) { return edit_note(state, a); }});
  add_command(state, {"note.remove",
                      "Remove note",
                      "Removes a note.",
                      "",
                      "",
                      "edit-delete",
                      {{"id", "note"}},
                      [&state] { return needs_note(state); },
                      [&state](const nlohmann::json& a) { return remove_note(state, a); }});
}

}  // namespace moescope
