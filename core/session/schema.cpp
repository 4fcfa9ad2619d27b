#include "core/session/schema.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>

#include <array>
#include <string>

namespace moescope::session_schema {
namespace {

// Step i takes a file from version i to i + 1. A step that was released never changes: add another one.
constexpr std::array<const char*, 2> steps{
    // 1: sources, annotations, state, history and cached Results.
    R"(
    CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE state(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE options(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE sources(id INTEGER PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE annotations(id INTEGER PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE actions(
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      at TEXT NOT NULL, command TEXT NOT NULL, title TEXT NOT NULL, merge_key TEXT NOT NULL,
      undone INTEGER NOT NULL DEFAULT 0, edits TEXT NOT NULL);
    CREATE TABLE results(
      key TEXT PRIMARY KEY, analysis TEXT NOT NULL, used INTEGER NOT NULL, bytes INTEGER NOT NULL, packed BLOB NOT NULL);
    CREATE INDEX results_by_use ON results(used);
    INSERT INTO meta VALUES('next_id', '1');
    )",
    // 2: prompts that were run.
    "CREATE TABLE prompts(id INTEGER PRIMARY KEY, value TEXT NOT NULL);",
};

}  // namespace

int current_version() {
  return static_cast<int>(steps.size());
}

int version_of(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

void upgrade(SQLite::Database& database) {
  for (int version = version_of(database); version < current_version(); ++version) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(steps.at(static_cast<std::size_t>(version)));
    if (version == 0) database.exec("PRAGMA application_id = " + std::to_string(application_id));
    database.exec("PRAGMA user_version = " + std::to_string(version + 1));
    transaction.commit();
  }
}

}  // namespace moescope::session_schema
