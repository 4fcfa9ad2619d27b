#include "core/session/store.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <array>
#include <stdexcept>

#include "core/base/clock.h"

namespace moescope::session_store {
namespace {

struct KindRow {
  const char* kind;
  const char* table;
  const char* key;  // column
  bool numbered;    // the key is an id
};

constexpr std::array<KindRow, 5> kind_rows{{{"source", "sources", "id", true},
                                            {"annotation", "annotations", "id", true},
                                            {"prompt", "prompts", "id", true},
                                            {"state", "state", "name", false},
                                            {"option", "options", "name", false}}};

const KindRow& row_of(const std::string& kind) {
  for (const KindRow& row : kind_rows) {
    if (kind == row.kind) return row;
  }
  throw std::runtime_error("unknown kind of thing: " + kind);
}

void bind_key(SQLite::Statement& statement, int index, const KindRow& row, const std::string& key) {
  if (row.numbered) {
    statement.bind(index, static_cast<std::int64_t>(std::stoll(key)));
  } else {
    statement.bind(index, key);
  }
}

}  // namespace

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  names.reserve(std::size(kind_rows));
  for (const KindRow& row : kind_rows) names.emplace_back(row.kind);
  return names;
}

nlohmann::json read_item(SQLite::Database& database, const std::string& kind, const std::string& key) {
  const KindRow& row = row_of(kind);
  SQLite::Statement query(database, std::string("SELECT value FROM ") + row.table + " WHERE " + row.key + " = ?");
  bind_key(query, 1, row, key);
  return query.executeStep() ? nlohmann::json::parse(query.getColumn(0).getString()) : nlohmann::json();
}

void write_item(SQLite::Database& database, const std::string& kind, const std::string& key,
                const nlohmann::json& value) {
  const KindRow& row = row_of(kind);
  if (value.is_null()) {
    SQLite::Statement erase(database, std::string("DELETE FROM ") + row.table + " WHERE " + row.key + " = ?");
    bind_key(erase, 1, row, key);
    erase.exec();
    return;
  }
  SQLite::Statement upsert(database, std::string("INSERT INTO ") + row.table + "(" + row.key +
                                         ", value) VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
  bind_key(upsert, 1, row, key);
  upsert.bind(2, value.dump());
  upsert.exec();
}

std::vector<std::pair<std::string, nlohmann::json>> read_items(SQLite::Database& database, const std::string& kind) {
  const KindRow& row = row_of(kind);
  SQLite::Statement query(database, std::string("SELECT ") + row.key + ", value FROM " + row.table + " ORDER BY 1");
  std::vector<std::pair<std::string, nlohmann::json>> items;
  while (query.executeStep()) {
    items.emplace_back(query.getColumn(0).getString(), nlohmann::json::parse(query.getColumn(1).getString()));
  }
  return items;
}

std::string read_meta(SQLite::Database& database, const std::string& name, const std::string& fallback) {
  SQLite::Statement query(database, "SELECT value FROM meta WHERE name = ?");
  query.bind(1, name);
  return query.executeStep() ? query.getColumn(0).getString() : fallback;
}

void write_meta(SQLite::Database& database, const std::string& name, const std::string& value) {
  SQLite::Statement upsert(
      database, "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
  upsert.bind(1, name);
  upsert.bind(2, value);
  upsert.exec();
}

std::vector<Action> read_actions(SQLite::Database& database, const std::string& where) {
  SQLite::Statement query(database, "SELECT sequence, command, title, merge_key, undone, edits FROM actions " + where);
  std::vector<Action> actions;
  while (query.executeStep()) {
    Action& action = actions.emplace_back();
    action.sequence = query.getColumn(0).getInt64();
    action.command = query.getColumn(1).getString();
    action.title = query.getColumn(2).getString();
    action.merge_key = query.getColumn(3).getString();
    action.undone = query.getColumn(4).getInt() != 0;
    action.edits = edits_from_json(nlohmann::json::parse(query.getColumn(5).getString()));
  }
  return actions;
}

std::int64_t insert_action(SQLite::Database& database, const Action& action) {
  SQLite::Statement insert(
      database, "INSERT INTO actions(at, command, title, merge_key, undone, edits) VALUES(?, ?, ?, ?, 0, ?)");
  insert.bind(1, utc_now());
  insert.bind(2, action.command);
  insert.bind(3, action.title);
  insert.bind(4, action.merge_key);
  insert.bind(5, edits_to_json(action.edits).dump());
  insert.exec();
  return database.getLastInsertRowid();
}

void replace_edits(SQLite::Database& database, std::int64_t sequence, const std::vector<Edit>& edits) {
  SQLite::Statement update(database, "UPDATE actions SET edits = ? WHERE sequence = ?");
  update.bind(1, edits_to_json(edits).dump());
  update.bind(2, sequence);
  update.exec();
}

nlohmann::json edits_to_json(const std::vector<Edit>& edits) {
  nlohmann::json list = nlohmann::json::array();
  for (const Edit& edit : edits) {
    list.push_back({{"kind", edit.kind}, {"key", edit.key}, {"before", edit.before}, {"after", edit.after}});
  }
  return list;
}

std::vector<Edit> edits_from_json(const nlohmann::json& json) {
  std::vector<Edit> edits;
  for (const nlohmann::json& one : json) {
    edits.push_back(
        {one.at("kind").get<std::string>(), one.at("key").get<std::string>(), one.at("before"), one.at("after")});
  }
  return edits;
}

nlohmann::json with_relative_path(nlohmann::json source, const std::filesystem::path& folder) {
  if (!source.is_object()) return source;
  const std::filesystem::path path = source.value("path", "");
  const std::filesystem::path relative = folder.empty() ? folder : path.lexically_relative(folder);
  if (relative.empty()) {
    source.erase("relative");
  } else {
    source["relative"] = relative.generic_string();
  }
  return source;
}

void rewrite_paths(SQLite::Database& database, const std::filesystem::path& folder, const Session::FolderMove& moved) {
  const auto rewrite = [&](nlohmann::json source) {
    if (source.is_object() && !moved.first.empty()) {
      const auto inside = std::filesystem::path(source.value("path", "")).lexically_relative(moved.first);
      if (!inside.empty() && *inside.begin() != "..") source["path"] = (moved.second / inside).string();
    }
    return with_relative_path(std::move(source), folder);
  };
  for (const auto& [key, source] : read_items(database, "source")) {
    write_item(database, "source", key, rewrite(source));
  }
  for (Action& action : read_actions(database, "ORDER BY sequence")) {
    bool changed = false;
    for (Edit& edit : action.edits) {
      if (edit.kind != "source") continue;
      edit.before = rewrite(std::move(edit.before));
      edit.after = rewrite(std::move(edit.after));
      changed = true;
    }
    if (changed) replace_edits(database, action.sequence, action.edits);
  }
}

}  // namespace moescope::session_store
