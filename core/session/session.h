// Session: one SQLite file that keeps a study: sources, annotations, options, prompts, the history of actions and
// cached Results. Every action is one transaction that also stores its inverse, so a crash loses nothing that was done
// and undo survives it. Called by the workbench and the command line, from one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// One change of one stored thing. `kind` and what its JSON holds:
//   state       the value: filter text, selection, active sources
//   option      the value
//   source      {kind, name, path, relative, bytes, hash}; `relative` is to the session's folder and is kept by Session
//   annotation  {source, anchor, text}
//   prompt      {text, format}
struct Edit {
  std::string kind;
  std::string key;               // name of a state or option, else the id as text
  nlohmann::json before, after;  // null = absent
};

// A user action as it is stored.
struct Action {
  std::int64_t sequence = 0;  // only ever grows; a reply that names it promises that it is on the disk
  std::string command;        // "note.add"
  std::string title;          // "add note", for the undo menu
  // An action whose predecessor has the same key takes its place, so that one undo takes back both. Empty = never.
  std::string merge_key;
  bool undone = false;
  std::vector<Edit> edits;
};

struct SessionOptions {
  bool read_only = false;                   // for showing and checking: takes no lock and writes nothing
  std::uint64_t cache_bytes = 256U << 20U;  // of compressed cached Results
  std::string vfs{};                        // SQLite's file layer by name; empty = the default one
};

class MOESCOPE_API Session {
 public:
  // Makes a session file; an existing file is an error (usage). An empty path keeps the session in memory only.
  [[nodiscard]] static Expected<Session> create(const std::filesystem::path& path, const SessionOptions& options = {});
  // Opens one, upgrading an older file first. Errors (input) tell apart: not there, not a session, damaged, written by
  // a newer program, open in another program.
  [[nodiscard]] static Expected<Session> open(const std::filesystem::path& path, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  // Checkpoints the log and leaves one plain file.
  ~Session();

  [[nodiscard]] std::filesystem::path path() const;  // empty = in memory
  [[nodiscard]] std::string journal_mode() const;    // "wal", "delete" where WAL cannot be had, "memory"

  // Things of a kind, in the order of their ids or names.
  [[nodiscard]] Expected<std::vector<std::pair<std::string, nlohmann::json>>> items(const std::string& kind) const;
  // An id that no thing of this session has or had. Taken for good once an action with it is recorded.
  [[nodiscard]] std::int64_t new_id();

  // Does the edits in one transaction and stores the action with their inverse (`before` is filled in from what is
  // stored). Gives its sequence, or 0 when nothing would change. Actions that were undone can no longer be redone.
  [[nodiscard]] Expected<std::int64_t> record(Action action);
  // Takes back the last action, or does the next one again; gives the action. Error (usage) when there is none.
  [[nodiscard]] Expected<Action> undo();
  [[nodiscard]] Expected<Action> redo();
  // Titles for menus; empty = none.
  [[nodiscard]] std::string next_undo() const;
  [[nodiscard]] std::string next_redo() const;
  [[nodiscard]] Expected<std::vector<Action>> actions() const;
  // True when no action was ever recorded.
  [[nodiscard]] bool untouched() const;

  // Cached Results, as packed by pack_result(). A miss is an empty optional. Storing may fail without harm.
  [[nodiscard]] std::optional<std::string> cached(const std::string& key);
  [[nodiscard]] Expected<void> store_cached(const std::string& key, const std::string& analysis,
                                            const std::string& packed);

  // Copies everything to `path`, replacing what is there, and goes on in the copy. Sources below the first folder of
  // `moved` are known to lie below the second one now.
  using FolderMove = std::pair<std::filesystem::path, std::filesystem::path>;
  [[nodiscard]] Expected<void> save_as(const std::filesystem::path& path, const FolderMove& moved = {});

  // What is wrong with the file: SQLite's own check, then ours (history against state, references, cached Results).
  // Empty = nothing.
  [[nodiscard]] Expected<std::vector<std::string>> check() const;
  // Everything as JSON; cached Results only by name and size.
  [[nodiscard]] Expected<nlohmann::json> export_json() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// True when the file begins like a MoEScope session.
[[nodiscard]] MOESCOPE_API bool is_session_file(const std::filesystem::path& path);
// True when the file is an SQLite database of any kind.
[[nodiscard]] MOESCOPE_API bool is_sqlite_file(const std::filesystem::path& path);

}  // namespace moescope
