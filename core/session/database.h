// Opening a session's SQLite file: header checks, journal mode, durability; and SQLite's exceptions as Errors. Private
// to core/session.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/session/session.h"

namespace moescope::session_database {

using DatabasePtr = std::unique_ptr<SQLite::Database>;

// An SQLite failure in our words; `where` is the file.
[[nodiscard]] Error explain(const SQLite::Exception& exception, const std::filesystem::path& where);

// Calls `work` and turns what SQLiteCpp, JSON and the library throw into Errors.
template <typename Work>
[[nodiscard]] auto guarded(const std::filesystem::path& where, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const SQLite::Exception& e) {
    return fail(explain(e, where));
  } catch (const std::exception& e) {
    return fail(ErrorKind::input, std::string("the session holds something unreadable: ") + e.what(), where.string(),
                "Run `moescope-cli session check` on it");
  }
}

// Opens an existing file, checks that it is a session that this program can read, sets journal and durability and
// upgrades it.
[[nodiscard]] Expected<DatabasePtr> open_file(const std::filesystem::path& path, const SessionOptions& options);
// Makes a new one; an empty path gives one in memory.
[[nodiscard]] Expected<DatabasePtr> create_file(const std::filesystem::path& path, const SessionOptions& options);
// Copies a whole database into another, page by page. Throws SQLite::Exception.
void copy(SQLite::Database& from, SQLite::Database& to);
// Writes the log back and turns it off, so that one plain file is left. Never fails: the log is replayed otherwise.
void settle(SQLite::Database& database);
// "wal", "delete", "memory".
[[nodiscard]] std::string journal_mode(SQLite::Database& database);

}  // namespace moescope::session_database
