// The workbench's state and what the command files share. Main thread only. Private to core/workbench.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/main_queue.h"
#include "core/session/session.h"
#include "core/workbench/filter_memory.h"
#include "core/workbench/recent_files.h"
#include "core/workbench/result_memory.h"
#include "core/workbench/workbench.h"

namespace moescope {

// Stands for the trace of a generation under way where a source's id is asked for.
inline constexpr std::int64_t live_source_id = -1;

// A file or folder that was recognised and opened.
struct Opened {
  SourceKind kind = SourceKind::trace;
  std::filesystem::path path;  // absolute; the folder of a checkpoint
  std::string name, hash;
  std::uint64_t bytes = 0;
  nlohmann::json import;  // how a foreign trace was read: see import_options_from_json(); null = as its content says
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const Trace> trace;
};

struct WorkbenchState {
  explicit WorkbenchState(WorkbenchOptions given);

  // Records an action, brings the state up to date and tells the listeners. The reply gets "action": its sequence, 0
  // when nothing changed.
  [[nodiscard]] Expected<nlohmann::json> act(Action action, nlohmann::json reply = nlohmann::json::object());
  // Brings the state up to date with what the session holds; gives what changed.
  [[nodiscard]] Changes reload();
  void notify(Changes changes);
  void show_error(const Error& error);
  // Lets go of this session's state and takes up another one.
  void enter(Session next, bool is_unsaved);
  // A new session in the settings folder, or in memory where there is none.
  [[nodiscard]] Expected<Session> make_unsaved_session();

  // Shows the trace of a generation that is under way instead of the active one, until end_live() or until another is
  // chosen. It is no source: nothing of it is stored.
  void show_live(std::shared_ptr<const Trace> trace);
  void end_live();

  // The filter's text as the session has it, whether or not it fits what is shown.
  [[nodiscard]] std::string stored_filter() const;

  [[nodiscard]] const Source* find_source(std::int64_t id) const;
  [[nodiscard]] const Source* active(SourceKind kind) const;
  [[nodiscard]] std::string key_of(const std::string& analysis, const nlohmann::json& params) const;

  WorkbenchOptions options;
  MainQueue queue;
  JobSystem jobs;
  CommandRegistry commands;
  Session session;
  std::int64_t generation = 0;  // which session this is since the start; jobs of an earlier one change nothing
  // Sessions that earlier runs left behind, as looked up for a generation; -1 = not yet.
  mutable std::int64_t left_behind_generation = -1;
  mutable std::vector<std::filesystem::path> left_behind;
  bool unsaved = true;  // lives in the settings folder until it is saved
  RecentFiles recent;

  std::vector<Source> sources;
  std::map<std::int64_t, nlohmann::json> source_items;  // as stored, to see what changed
  std::vector<Opened> just_opened;                      // taken over by reload() instead of opening again
  std::int64_t active_trace = 0, active_checkpoint = 0;
  std::optional<Source> live;   // the trace of a generation under way, id live_source_id
  bool live_dismissed = false;  // the user went back to another trace meanwhile
  AppliedFilter filter;
  FilterMemory filters{16};      // reload() looks here before it applies a filter
  nlohmann::json filter_inputs;  // trace and text that `filter` was made from
  Selection selection;
  std::vector<Annotation> annotations;
  std::vector<Prompt> prompts;
  std::map<std::string, nlohmann::json> view_options;
  std::optional<Error> last_error;
  ResultMemory results;
  std::vector<std::weak_ptr<std::function<void(Changes)>>> listeners;

 private:
  void reload_sources(Changes& changes);
  void reload_values(Changes& changes);
  void apply_stored_filter(const std::string& text, Changes& changes);
};

// A command in two parts: `work` reads files or tokens and touches no state, so that a job can do it; `finish` changes
// the state on the main thread and gives the reply. Without {"background": true} both run now.
struct TwoParts {
  std::string title, slot;  // of the job
  std::function<Expected<void>()> work;
  std::function<Expected<nlohmann::json>()> finish;
};
[[nodiscard]] Expected<nlohmann::json> run_parts(WorkbenchState& state, const nlohmann::json& arguments,
                                                 TwoParts parts);

// An edit that sets (or, with null, removes) a thing; Session fills in what was before.
[[nodiscard]] inline Edit set_edit(std::string kind, std::string key, nlohmann::json value) {
  return Edit{std::move(kind), std::move(key), nullptr, std::move(value)};
}

[[nodiscard]] nlohmann::json selection_to_json(const Selection& selection);
[[nodiscard]] Selection selection_from_json(const nlohmann::json& json);
// True when the trace has what is selected.
[[nodiscard]] bool selection_fits(const Selection& selection, const Trace& trace);
// The same for what is open: the active trace; without one the experts of the active checkpoint, whose rows are its
// layers with experts.
[[nodiscard]] bool selection_fits(const Selection& selection, const WorkbenchState& state);
// "L3·E04" of a router row of the active trace (or checkpoint, without one), "row 3·E04" where there is none.
[[nodiscard]] std::string label_of(const WorkbenchState& state, ExpertRef expert);

// Decides by content what a path is, and opens it. `import` tells how a foreign trace is to be read.
[[nodiscard]] Expected<Opened> open_path(const std::filesystem::path& path, const nlohmann::json& import = nullptr);
// Adds it to the session (or finds it there) and makes it the active one, as one action. Reply: id, kind, name.
// `more` are edits that belong to the same action.
[[nodiscard]] Expected<nlohmann::json> adopt(WorkbenchState& state, Opened opened, const std::string& command,
                                             std::vector<Edit> more = {});
// Folder beside a session file for the traces of its prompts; empty for a session in memory.
[[nodiscard]] std::filesystem::path runs_folder(const std::filesystem::path& session_file);
// Opens another session; `arguments` may ask for the background. Reply: path.
[[nodiscard]] Expected<nlohmann::json> enter_session_file(WorkbenchState& state, const std::filesystem::path& path,
                                                          const nlohmann::json& arguments);
// What a session's sources are, opened; those that cannot be are left out, and tried again when the session is entered.
[[nodiscard]] std::vector<Opened> open_sources(const Session& session);

// Arguments that commands share. Errors (usage) name the argument.
[[nodiscard]] Expected<std::filesystem::path> path_argument(const nlohmann::json& arguments, const char* name);
[[nodiscard]] Expected<std::int64_t> id_argument(const nlohmann::json& arguments, const char* name);
[[nodiscard]] Expected<std::string> text_argument(const nlohmann::json& arguments, const char* name);

// Why a command on the active trace cannot run; empty = it can.
[[nodiscard]] std::string needs_trace(const WorkbenchState& state);
// The same for one on experts, which a checkpoint without a trace has, too.
[[nodiscard]] std::string needs_experts(const WorkbenchState& state);

// One group of commands per file.
void add_source_commands(WorkbenchState& state);
void add_filter_commands(WorkbenchState& state);
void add_selection_commands(WorkbenchState& state);
void add_note_commands(WorkbenchState& state);
void add_edit_commands(WorkbenchState& state);
void add_run_commands(WorkbenchState& state);
void add_session_commands(WorkbenchState& state);
void add_export_commands(WorkbenchState& state);
// Adds one command; a clash of ids or shortcuts is a defect and shown as one.
void add_command(WorkbenchState& state, CommandSpec spec);

struct Workbench::State : WorkbenchState {
  using WorkbenchState::WorkbenchState;
};

}  // namespace moescope
