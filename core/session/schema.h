// Schema of a session file and the steps that bring an older one up to date. Private to core/session.
#pragma once

#include <string>

#include "core/base/error.h"

namespace SQLite {
class Database;
}

namespace moescope::session_schema {

// "MoES": SQLite's application_id of our files, big-endian at byte 68.
inline constexpr int application_id = 0x4D6F4553;
// The version this program writes (user_version), and the number of steps.
[[nodiscard]] int current_version();
[[nodiscard]] int version_of(SQLite::Database& database);
// Runs the missing steps, each in its own transaction that also sets user_version. Throws SQLite::Exception.
void upgrade(SQLite::Database& database);

}  // namespace moescope::session_schema
