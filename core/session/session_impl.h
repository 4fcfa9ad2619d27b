// What a Session holds. Private to core/session.
#pragma once

#include <SQLiteCpp/Transaction.h>

#include <map>
#include <optional>
#include <string>

#include "core/base/file_lock.h"
#include "core/session/database.h"
#include "core/session/session.h"
#include "core/session/transaction_probe.h"

namespace moescope {

struct Session::Impl {
  std::filesystem::path path;  // empty = in memory
  SessionOptions options;
  std::optional<FileLock> lock;  // let go after the database is closed
  session_database::DatabasePtr database;
  std::map<std::string, std::int64_t> touched;  // cached Results that were used, not written yet: key -> use
  std::int64_t last_use = 0;
  std::int64_t taken_ids = 0;  // highest id handed out, stored or not

  [[nodiscard]] std::filesystem::path folder() const {
    return path.empty() ? path : std::filesystem::absolute(path).parent_path();
  }

  // Runs `work` between BEGIN IMMEDIATE and COMMIT; anything thrown rolls back and becomes an Error.
  template <typename Work>
  [[nodiscard]] auto transact(Work&& work) -> decltype(work()) {
    return session_database::guarded(path, [&]() -> decltype(work()) {
      const TransactionProbe probe;
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      auto outcome = work();
      if (!outcome) return outcome;
      probe.before_commit();
      transaction.commit();
      return outcome;
    });
  }
};

}  // namespace moescope
