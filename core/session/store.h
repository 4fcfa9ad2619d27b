// Reading and writing single things and actions inside a session's database. Every function throws SQLite::Exception or
// a JSON exception; Session catches them at its edge. Private to core/session.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/session/session.h"

namespace SQLite {
class Database;
class Statement;
}  // namespace SQLite

namespace moescope::session_store {

// Kinds of things there are, in the order of an export.
[[nodiscard]] std::vector<std::string> kinds();
// Null when absent.
[[nodiscard]] nlohmann::json read_item(SQLite::Database& database, const std::string& kind, const std::string& key);
// Null deletes.
void write_item(SQLite::Database& database, const std::string& kind, const std::string& key,
                const nlohmann::json& value);
[[nodiscard]] std::vector<std::pair<std::string, nlohmann::json>> read_items(SQLite::Database& database,
                                                                             const std::string& kind);

[[nodiscard]] std::string read_meta(SQLite::Database& database, const std::string& name, const std::string& fallback);
void write_meta(SQLite::Database& database, const std::string& name, const std::string& value);

// Actions in the order of their sequence; `where` is an SQL condition of our own, with what follows it.
[[nodiscard]] std::vector<Action> read_actions(SQLite::Database& database, const std::string& where);
[[nodiscard]] std::int64_t insert_action(SQLite::Database& database, const Action& action);
void replace_edits(SQLite::Database& database, std::int64_t sequence, const std::vector<Edit>& edits);

[[nodiscard]] nlohmann::json edits_to_json(const std::vector<Edit>& edits);
[[nodiscard]] std::vector<Edit> edits_from_json(const nlohmann::json& json);

// A source's JSON with `relative` set for a session in `folder`; an empty folder removes it.
[[nodiscard]] nlohmann::json with_relative_path(nlohmann::json source, const std::filesystem::path& folder);
// Sets `relative` of all sources for a session in `folder`, in the history too, after those below moved.first went to
// moved.second.
void rewrite_paths(SQLite::Database& database, const std::filesystem::path& folder, const Session::FolderMove& moved);

}  // namespace moescope::session_store
