// Cached Results of a session: compressed, capped, the least recently used go first. Losing one costs a computation and
// nothing else, so they are written without waiting for the disk where the log makes that safe.
#include <SQLiteCpp/Statement.h>

#include "core/session/session.h"
#include "core/session/session_impl.h"

namespace moescope {
namespace {

void write_uses(SQLite::Database& database, const std::map<std::string, std::int64_t>& touched) {
  SQLite::Statement update(database, "UPDATE results SET used = ? WHERE key = ?");
  for (const auto& [key, use] : touched) {
    update.bind(1, use);
    update.bind(2, key);
    update.exec();
    update.reset();
  }
}

// Drops the least recently used until at most `limit` bytes are left.
void shrink(SQLite::Database& database, std::uint64_t limit) {
  std::uint64_t total =
      static_cast<std::uint64_t>(database.execAndGet("SELECT ifnull(sum(bytes), 0) FROM results").getInt64());
  if (total <= limit) return;
  std::int64_t drop_up_to = 0;
  SQLite::Statement oldest(database, "SELECT used, bytes FROM results ORDER BY used");
  while (total > limit && oldest.executeStep()) {
    drop_up_to = oldest.getColumn(0).getInt64();
    total -= static_cast<std::uint64_t>(oldest.getColumn(1).getInt64());
  }
  oldest.reset();
  SQLite::Statement erase(database, "DELETE FROM results WHERE used <= ?");
  erase.bind(1, drop_up_to);
  erase.exec();
}

}  // namespace

std::optional<std::string> Session::cached(const std::string& key) {
  const auto found = session_database::guarded(impl_->path, [&]() -> Expected<std::optional<std::string>> {
    SQLite::Statement query(*impl_->database, "SELECT packed FROM results WHERE key = ?");
    query.bind(1, key);
    if (!query.executeStep()) return std::nullopt;
    return query.getColumn(0).getString();
  });
  if (!found || !*found) return std::nullopt;
  impl_->touched[key] = ++impl_->last_use;
  return *found;
}

Expected<void> Session::store_cached(const std::string& key, const std::string& analysis, const std::string& packed) {
  if (impl_->options.read_only || packed.size() > impl_->options.cache_bytes) return {};
  SQLite::Database& database = *impl_->database;
  const bool log = journal_mode() == "wal";
  if (log) database.tryExec("PRAGMA synchronous = NORMAL");
  auto stored = impl_->transact([&]() -> Expected<void> {
    write_uses(database, impl_->touched);
    SQLite::Statement upsert(database,
                             "INSERT INTO results(key, analysis, used, bytes, packed) VALUES(?, ?, ?, ?, ?) "
                             "ON CONFLICT DO UPDATE SET used = excluded.used, bytes = excluded.bytes, packed = "
                             "excluded.packed");
    upsert.bind(1, key);
    upsert.bind(2, analysis);
    upsert.bind(3, ++impl_->last_use);
    upsert.bind(4, static_cast<std::int64_t>(packed.size()));
    upsert.bind(5, packed.data(), static_cast<int>(packed.size()));
    upsert.exec();
    shrink(database, impl_->options.cache_bytes);
    return {};
  });
  if (log) database.tryExec("PRAGMA synchronous = FULL");
  if (stored) impl_->touched.clear();
  return stored;
}

}  // namespace moescope
