#include "core/session/database.h"

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "core/session/schema.h"

namespace moescope {
namespace {

constexpr std::string_view sqlite_magic{"SQLite format 3\0", 16};
constexpr int busy_milliseconds = 2000;

struct Header {
  std::array<unsigned char, 100> bytes{};
  std::size_t size = 0;

  [[nodiscard]] bool is_sqlite() const {
    return size == bytes.size() && std::memcmp(bytes.data(), sqlite_magic.data(), sqlite_magic.size()) == 0;
  }
  [[nodiscard]] bool is_session() const {
    const auto id = static_cast<unsigned>(session_schema::application_id);
    return is_sqlite() && bytes[68] == (id >> 24U) && bytes[69] == ((id >> 16U) & 0xFFU) &&
           bytes[70] == ((id >> 8U) & 0xFFU) && bytes[71] == (id & 0xFFU);
  }
};

Header read_header(const std::filesystem::path& path) {
  Header header;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return header;
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(header.bytes.data()), static_cast<std::streamsize>(header.bytes.size()));
  header.size = static_cast<std::size_t>(file.gcount());
  return header;
}

Expected<void> check_header(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return fail(ErrorKind::input, "the session file is not there", path.string(), "Check the path");
  }
  const Header header = read_header(path);
  if (header.is_session()) return {};
  return fail(ErrorKind::input,
              header.is_sqlite() ? "this SQLite file is not a MoEScope session" : "this file is not a MoEScope session",
              path.string(), "Choose a file that MoEScope saved");
}

}  // namespace

bool is_sqlite_file(const std::filesystem::path& path) {
  return read_header(path).is_sqlite();
}

bool is_session_file(const std::filesystem::path& path) {
  return check_header(path).has_value();
}

namespace session_database {
namespace {

// WAL needs shared memory, which network and some FUSE file systems lack: then a rollback journal. A file that was left
// in WAL mode can be read without shared memory only by a sole owner, hence the exclusive lock in that case.
void choose_journal(SQLite::Database& database) {
  const auto write_something = [&] {
    database.exec("BEGIN IMMEDIATE");
    database.exec("PRAGMA user_version = " + std::to_string(session_schema::version_of(database)));
    database.exec("COMMIT");
  };
  try {
    database.execAndGet("PRAGMA journal_mode = WAL");
    write_something();
  } catch (const SQLite::Exception& e) {
    const int code = e.getErrorCode();
    if (code == SQLITE_BUSY || code == SQLITE_NOTADB || code == SQLITE_CORRUPT) throw;
    database.tryExec("ROLLBACK");
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.execAndGet("PRAGMA journal_mode = DELETE");
    write_something();
  }
}

void set_durability(SQLite::Database& database) {
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
  database.exec("PRAGMA trusted_schema = OFF");
}

// An older file opened for reading only is upgraded in memory.
DatabasePtr upgraded_copy(SQLite::Database& old) {
  auto memory = std::make_unique<SQLite::Database>(":memory:", SQLite::OPEN_READWRITE);
  copy(old, *memory);
  session_schema::upgrade(*memory);
  return memory;
}

}  // namespace

Error explain(const SQLite::Exception& exception, const std::filesystem::path& where) {
  const std::string file = where.empty() ? "session in memory" : where.string();
  switch (exception.getErrorCode()) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {ErrorKind::input, fmt::format("the session file is damaged: {}", exception.what()), file,
              "Restore it from a copy; `moescope-cli session check` says what is wrong"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorKind::input, "the session file is in use by another program", file, "Close it there and try again"};
    case SQLITE_FULL:
      return {ErrorKind::input, "the disk is full; the last action was not stored", file,
              "Free some space, or save the session elsewhere"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {ErrorKind::input, "the session file cannot be written", file, "Check its permissions, or work on a copy"};
    case SQLITE_CANTOPEN:
      return {ErrorKind::input, "the session file cannot be opened", file,
              "Check that its folder exists and may be written to"};
    case SQLITE_IOERR:
      return {ErrorKind::input, fmt::format("the session file cannot be read or written: {}", exception.what()), file,
              "Check the disk, or save the session elsewhere"};
    default:
      // A table or column that is not there is a damaged or foreign file, the rest a defect of ours.
      return {ErrorKind::input,
              fmt::format("the session file does not have the expected content: {}", exception.what()), file,
              "Run `moescope-cli session check` on it"};
  }
}

Expected<DatabasePtr> open_file(const std::filesystem::path& path, const SessionOptions& options) {
  if (auto checked = check_header(path); !checked) return fail(checked.error());
  return guarded(path, [&]() -> Expected<DatabasePtr> {
    const int flags = options.read_only ? SQLite::OPEN_READONLY : SQLite::OPEN_READWRITE;
    auto database = std::make_unique<SQLite::Database>(path.string(), flags, busy_milliseconds, options.vfs);
    if (!options.read_only) choose_journal(*database);
    const int version = session_schema::version_of(*database);
    const int id = database->execAndGet("PRAGMA application_id").getInt();
    if (id != session_schema::application_id || version < 1) {
      return fail(ErrorKind::input, "this SQLite file is not a MoEScope session", path.string(),
                  "Choose a file that MoEScope saved");
    }
    if (version > session_schema::current_version()) {
      return fail(ErrorKind::input,
                  fmt::format("the session was written by a newer MoEScope (format {}; this program reads up to {})",
                              version, session_schema::current_version()),
                  path.string(), "Open it with a newer version");
    }
    if (options.read_only) {
      if (version < session_schema::current_version()) return upgraded_copy(*database);
      return database;
    }
    set_durability(*database);
    session_schema::upgrade(*database);
    return database;
  });
}

Expected<DatabasePtr> create_file(const std::filesystem::path& path, const SessionOptions& options) {
  return guarded(path, [&]() -> Expected<DatabasePtr> {
    std::error_code ignored;
    if (!path.empty() && std::filesystem::exists(path, ignored)) {
      return fail(ErrorKind::usage, "there is a file of this name already", path.string(),
                  "Choose another name, or open it");
    }
    const std::string name = path.empty() ? ":memory:" : path.string();
    auto database = std::make_unique<SQLite::Database>(name, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                                       busy_milliseconds, options.vfs);
    if (!path.empty()) choose_journal(*database);
    set_durability(*database);
    session_schema::upgrade(*database);
    // Brings the application id into the file itself, so that a crash from here on leaves a file known as a session.
    database->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
    return database;
  });
}

void copy(SQLite::Database& from, SQLite::Database& to) {
  SQLite::Backup backup(to, from);
  backup.executeStep(-1);
}

void settle(SQLite::Database& database) {
  database.tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.tryExec("PRAGMA journal_mode = DELETE");
}

std::string journal_mode(SQLite::Database& database) {
  return database.execAndGet("PRAGMA journal_mode").getString();
}

}  // namespace session_database
}  // namespace moescope
