// Commands on the session file itself.
#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>

#include "core/base/file_lock.h"
#include "core/workbench/state.h"

namespace moescope {
namespace {

void remove_unsaved(const std::filesystem::path& file) {
  if (file.empty()) return;
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  std::filesystem::remove_all(runs_folder(file), ignored);
}

// An unsaved session file that was left for another one: kept while it holds work, to be recovered later.
void leave(WorkbenchState& state, Session next, bool next_unsaved) {
  const bool drop = state.unsaved && state.session.untouched();
  const std::filesystem::path old = state.session.path();
  state.enter(std::move(next), next_unsaved);
  if (drop) remove_unsaved(old);
}

Expected<nlohmann::json> new_session(WorkbenchState& state, const nlohmann::json& arguments) {
  const std::string path = arguments.value("path", "");
  auto made = path.empty() ? state.make_unsaved_session() : Session::create(path);
  if (!made) return fail(made.error());
  leave(state, std::move(*made), path.empty());
  if (!path.empty()) state.recent.add(state.session.path());
  return nlohmann::json{{"path", state.session.path().string()}};
}

// Copies the traces of prompts beside the session that is about to be saved, as links where the disk allows.
Expected<void> copy_runs(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  if (from.empty() || !std::filesystem::exists(from, error)) return {};
  std::filesystem::create_directories(to, error);
  for (const auto& entry : std::filesystem::directory_iterator(from, error)) {
    const std::filesystem::path target = to / entry.path().filename();
    std::error_code failed;
    std::filesystem::remove(target, failed);
    std::filesystem::create_hard_link(entry.path(), target, failed);
    if (failed) std::filesystem::copy_file(entry.path(), target, error);
    if (error) break;
  }
  if (!error) return {};
  return fail(ErrorKind::input, "cannot copy the traces of the session: " + error.message(), to.string(),
              "Free some space, or save elsewhere");
}

Expected<nlohmann::json> save_session_as(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  const std::filesystem::path old = state.session.path();
  const bool was_unsaved = state.unsaved;
  const std::filesystem::path target = std::filesystem::absolute(*path);
  const std::filesystem::path old_runs = runs_folder(old), new_runs = runs_folder(target);
  if (old != target) {
    if (auto copied = copy_runs(old_runs, new_runs); !copied) return fail(copied.error());
  }
  if (auto saved = state.session.save_as(target, {old_runs, new_runs}); !saved) return fail(saved.error());
  state.unsaved = false;
  if (was_unsaved && old != state.session.path()) remove_unsaved(old);
  state.recent.add(state.session.path());
  state.notify(state.reload() | static_cast<Changes>(Change::session));
  return nlohmann::json{{"path", state.session.path().string()}};
}

Expected<nlohmann::json> open_session(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  return enter_session_file(state, *path, arguments);
}

// Session files in the folder of unsaved ones that no running program holds, newest first. Those in which nothing was
// done (their program was killed) are removed.
std::vector<std::filesystem::path> find_left_behind(const WorkbenchState& state) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(state.options.settings_folder / "unsaved", error)) {
    if (entry.path().extension() != ".moescope" || entry.path() == state.session.path()) continue;
    bool untouched = false;
    {
      const auto lock = FileLock::try_lock(entry.path());
      if (!lock || !*lock) continue;
      const auto session = Session::open(entry.path(), {.read_only = true});
      untouched = session && session->untouched();
    }
    if (untouched) {
      remove_unsaved(entry.path());
    } else {
      found.emplace_back(entry.last_write_time(error), entry.path());
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a > b; });
  std::vector<std::filesystem::path> paths;
  paths.reserve(found.size());
  for (auto& [time, path] : found) paths.push_back(std::move(path));
  return paths;
}

// Looked up once per session, because menus ask often.
const std::vector<std::filesystem::path>& left_behind(const WorkbenchState& state) {
  if (state.left_behind_generation != state.generation) {
    state.left_behind =
        state.options.settings_folder.empty() ? std::vector<std::filesystem::path>{} : find_left_behind(state);
    state.left_behind_generation = state.generation;
  }
  return state.left_behind;
}

Expected<nlohmann::json> recover_session(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto& candidates = left_behind(state);
  std::filesystem::path path = arguments.value("path", "");
  if (path.empty()) path = candidates.front();
  if (std::find(candidates.begin(), candidates.end(), path) == candidates.end()) {
    return fail(ErrorKind::usage, "this is not an unsaved session that was left behind", path.string());
  }
  auto opened = Session::open(path);
  if (!opened) return fail(opened.error());
  leave(state, std::move(*opened), true);
  return nlohmann::json{{"path", state.session.path().string()}};
}

Expected<nlohmann::json> discard_session(WorkbenchState& state) {
  const std::filesystem::path old = state.session.path();
  auto made = state.make_unsaved_session();
  if (!made) return fail(made.error());
  state.enter(std::move(*made), true);
  remove_unsaved(old);
  return nlohmann::json::object();
}

}  // namespace

std::filesystem::path runs_folder(const std::filesystem::path& session_file) {
  std::filesystem::path folder = session_file;
  if (!folder.empty()) folder.replace_extension(".runs");
  return folder;
}

Expected<nlohmann::json> enter_session_file(WorkbenchState& state, const std::filesystem::path& path,
                                            const nlohmann::json& arguments) {
  const std::filesystem::path absolute = std::filesystem::absolute(path);
  if (absolute == state.session.path()) return nlohmann::json{{"path", state.session.path().string()}};
  struct Made {
    std::optional<Session> session;
    std::vector<Opened> sources;
  };
  const auto made = std::make_shared<Made>();
  const auto work = [made, absolute]() -> Expected<void> {
    auto opened = Session::open(absolute);
    if (!opened) return fail(opened.error());
    made->sources = open_sources(*opened);
    made->session.emplace(std::move(*opened));
    return {};
  };
  const auto finish = [&state, made]() -> Expected<nlohmann::json> {
    state.just_opened = std::move(made->sources);
    leave(state, std::move(*made->session), false);
    state.recent.add(state.session.path());
    return nlohmann::json{{"kind", "session"}, {"path", state.session.path().string()}};
  };
  return run_parts(state, arguments, {"Open " + path.filename().string(), "session", work, finish});
}

std::vector<std::filesystem::path> Workbench::recoverable_sessions() const {
  return left_behind(*state_);
}

void add_session_commands(WorkbenchState& state) {
  add_command(state, {"session.new",
                      "New session",
                      "Begins an empty session.",
                      "File",
                      "Ctrl+N",
                      "document-new",
                      {{"path", "file to keep it in; without, it is kept in the settings folder until saved"}},
                      {},
                      [&state](const nlohmann::json& a) { return new_session(state, a); }});
  add_command(state, {"session.open",
                      "Open session…",
                      "Opens a saved session.",
                      "File",
                      "Ctrl+Shift+O",
                      "document-open-folder",
                      {{"path", "session file"}},
                      {},
                      [&state](const nlohmann::json& a) { return open_session(state, a); },
                      true});
  add_command(state, {"session.save_as",
                      "Save session as…",
                      "Saves the session under a name; from then on every action is stored there.",
                      "File",
                      "Ctrl+S",
                      "document-save-as",
                      {{"path", "session file"}},
                      {},
                      [&state](const nlohmann::json& a) { return save_session_as(state, a); }});
  add_command(state, {"session.recover",
                      "Recover unsaved session",
                      "Takes up a session that was not saved.",
                      "File",
                      "",
                      "document-revert",
                      {{"path", "which one; without, the newest"}},
                      [&state]() -> std::string {
                        if (left_behind(state).empty()) {
                          return "no unsaved session was left behind";
                        }
                        return "";
                      },
                      [&state](const nlohmann::json& a) { return recover_session(state, a); }});
  add_command(state, {"session.discard",
                      "Discard unsaved session",
                      "Throws the unsaved session away and begins a new one.",
                      "",
                      "",
                      "edit-delete",
                      {},
                      [&state]() -> std::string { return state.unsaved ? "" : "the session is saved"; },
                      [&state](const nlohmann::json&) { return discard_session(state); }});
}

}  // namespace moescope
