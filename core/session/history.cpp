// The actions of a session: recording them with their inverse, undo and redo.
#include <SQLiteCpp/Statement.h>

#include <algorithm>

#include "core/session/session.h"
#include "core/session/session_impl.h"
#include "core/session/store.h"

namespace moescope {
namespace {

// Undo reaches this far back; older actions are forgotten.
constexpr int kept_actions = 2000;

constexpr const char* last_done = "WHERE undone = 0 ORDER BY sequence DESC LIMIT 1";
constexpr const char* first_undone = "WHERE undone = 1 ORDER BY sequence LIMIT 1";

bool is_id(const std::string& key) {
  return !key.empty() && key.size() < 18 &&
         std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Edits of `later` on top of `earlier`: a thing changed by both keeps its first `before` and its last `after`.
std::vector<Edit> merged(std::vector<Edit> earlier, const std::vector<Edit>& later) {
  for (const Edit& edit : later) {
    const auto same = std::find_if(earlier.begin(), earlier.end(),
                                   [&](const Edit& e) { return e.kind == edit.kind && e.key == edit.key; });
    if (same == earlier.end()) {
      earlier.push_back(edit);
    } else {
      same->after = edit.after;
    }
  }
  return earlier;
}

void set_undone(SQLite::Database& database, std::int64_t sequence, bool undone) {
  SQLite::Statement update(database, "UPDATE actions SET undone = ? WHERE sequence = ?");
  update.bind(1, undone ? 1 : 0);
  update.bind(2, sequence);
  update.exec();
}

// Does the edits, fills in `before`, and drops those that change nothing.
std::vector<Edit> apply(SQLite::Database& database, std::vector<Edit> edits, const std::filesystem::path& folder) {
  std::vector<Edit> effective;
  for (Edit& edit : edits) {
    if (edit.kind == "source") edit.after = session_store::with_relative_path(std::move(edit.after), folder);
    edit.before = session_store::read_item(database, edit.kind, edit.key);
    if (edit.before == edit.after) continue;
    session_store::write_item(database, edit.kind, edit.key, edit.after);
    effective.push_back(std::move(edit));
  }
  return effective;
}

}  // namespace

std::int64_t Session::new_id() {
  const auto stored = session_database::guarded(impl_->path, [&]() -> Expected<std::int64_t> {
    return std::stoll(session_store::read_meta(*impl_->database, "next_id", "1"));
  });
  impl_->taken_ids = std::max(impl_->taken_ids + 1, stored.value_or(1));
  return impl_->taken_ids;
}

Expected<std::int64_t> Session::record(Action action) {
  SQLite::Database& database = *impl_->database;
  return impl_->transact([&]() -> Expected<std::int64_t> {
    action.edits = apply(database, std::move(action.edits), impl_->folder());
    if (action.edits.empty()) return 0;
    const bool redo_lost = database.exec("DELETE FROM actions WHERE undone = 1") > 0;
    if (!action.merge_key.empty() && !redo_lost) {
      const auto last = session_store::read_actions(database, last_done);
      if (!last.empty() && last[0].merge_key == action.merge_key) {
        action.edits = merged(last[0].edits, action.edits);
        database.exec("DELETE FROM actions WHERE sequence = " + std::to_string(last[0].sequence));
      }
    }
    std::int64_t next = std::stoll(session_store::read_meta(database, "next_id", "1"));
    const std::int64_t next_before = next;
    for (const Edit& edit : action.edits) {
      if (is_id(edit.key)) next = std::max<std::int64_t>(next, std::stoll(edit.key) + 1);
    }
    if (next != next_before) session_store::write_meta(database, "next_id", std::to_string(next));
    const std::int64_t sequence = session_store::insert_action(database, action);
    database.exec("DELETE FROM actions WHERE sequence <= " + std::to_string(sequence - kept_actions));
    return sequence;
  });
}

Expected<Action> Session::undo() {
  SQLite::Database& database = *impl_->database;
  return impl_->transact([&]() -> Expected<Action> {
    auto found = session_store::read_actions(database, last_done);
    if (found.empty()) return fail(ErrorKind::usage, "there is nothing to undo");
    Action& action = found[0];
    for (auto edit = action.edits.rbegin(); edit != action.edits.rend(); ++edit) {
      session_store::write_item(database, edit->kind, edit->key, edit->before);
    }
    set_undone(database, action.sequence, true);
    action.undone = true;
    return action;
  });
}

Expected<Action> Session::redo() {
  SQLite::Database& database = *impl_->database;
  return impl_->transact([&]() -> Expected<Action> {
    auto found = session_store::read_actions(database, first_undone);
    if (found.empty()) return fail(ErrorKind::usage, "there is nothing to redo");
    Action& action = found[0];
    for (const Edit& edit : action.edits) session_store::write_item(database, edit.kind, edit.key, edit.after);
    set_undone(database, action.sequence, false);
    action.undone = false;
    return action;
  });
}

Expected<std::vector<Action>> Session::actions() const {
  return session_database::guarded(impl_->path, [&]() -> Expected<std::vector<Action>> {
    return session_store::read_actions(*impl_->database, "ORDER BY sequence");
  });
}

std::string Session::next_undo() const {
  const auto title = session_database::guarded(impl_->path, [&]() -> Expected<std::string> {
    SQLite::Statement query(*impl_->database, std::string("SELECT title FROM actions ") + last_done);
    return query.executeStep() ? query.getColumn(0).getString() : std::string();
  });
  return title.value_or("");
}

std::string Session::next_redo() const {
  const auto title = session_database::guarded(impl_->path, [&]() -> Expected<std::string> {
    SQLite::Statement query(*impl_->database, std::string("SELECT title FROM actions ") + first_undone);
    return query.executeStep() ? query.getColumn(0).getString() : std::string();
  });
  return title.value_or("");
}

bool Session::untouched() const {
  const auto any = session_database::guarded(impl_->path, [&]() -> Expected<bool> {
    SQLite::Statement query(*impl_->database, "SELECT 1 FROM sqlite_sequence WHERE name = 'actions' AND seq > 0");
    return query.executeStep();
  });
  return any.has_value() && !*any;
}

}  // namespace moescope
