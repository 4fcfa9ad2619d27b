// Checking and exporting a session.
#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "core/session/result_pack.h"
#include "core/session/schema.h"
#include "core/session/session.h"
#include "core/session/session_impl.h"
#include "core/session/store.h"

namespace moescope {
namespace {

using Problems = std::vector<std::string>;

void check_sqlite(SQLite::Database& database, Problems& problems) {
  SQLite::Statement integrity(database, "PRAGMA integrity_check");
  while (integrity.executeStep()) {
    if (std::string line = integrity.getColumn(0).getString(); line != "ok") problems.push_back("SQLite: " + line);
  }
}

// What the history says about a thing must be what is stored: the last done action's `after`, and the first undone
// action's `before`.
void check_history(SQLite::Database& database, Problems& problems) {
  std::map<std::pair<std::string, std::string>, nlohmann::json> expected;
  std::set<std::pair<std::string, std::string>> fixed;
  bool undone = false;
  for (const Action& action : session_store::read_actions(database, "ORDER BY sequence")) {
    if (undone && !action.undone) {
      problems.push_back(fmt::format("action {} is done although an earlier one is undone", action.sequence));
    }
    undone = undone || action.undone;
    for (const Edit& edit : action.edits) {
      const auto thing = std::make_pair(edit.kind, edit.key);
      if (!action.undone) {
        const auto known = expected.find(thing);
        if (known != expected.end() && known->second != edit.before) {
          problems.push_back(fmt::format("action {} does not begin where an earlier one left {} {}", action.sequence,
                                         edit.kind, edit.key));
        }
        expected[thing] = edit.after;
      } else if (fixed.insert(thing).second) {
        expected[thing] = edit.before;
      }
    }
  }
  for (const auto& [thing, value] : expected) {
    if (session_store::read_item(database, thing.first, thing.second) != value) {
      problems.push_back(fmt::format("{} {} is not what the history says", thing.first, thing.second));
    }
  }
}

void check_references(SQLite::Database& database, Problems& problems) {
  std::set<std::string> sources;
  for (const auto& [key, source] : session_store::read_items(database, "source")) {
    sources.insert(key);
    if (source.value("path", "").empty()) problems.push_back(fmt::format("source {} has no path", key));
  }
  for (const auto& [key, note] : session_store::read_items(database, "annotation")) {
    const std::int64_t source = note.value("source", std::int64_t{0});
    if (source != 0 && !sources.contains(std::to_string(source))) {
      problems.push_back(fmt::format("note {} is on source {}, which is not there", key, source));
    }
  }
}

void check_results(SQLite::Database& database, Problems& problems) {
  SQLite::Statement query(database, "SELECT key, analysis, packed, bytes FROM results");
  while (query.executeStep()) {
    const std::string packed = query.getColumn(2).getString();
    const auto unpacked = unpack_result(packed);
    if (!unpacked || query.getColumn(3).getInt64() != static_cast<std::int64_t>(packed.size())) {
      problems.push_back(fmt::format("the cached result {} of {} is damaged", query.getColumn(0).getString(),
                                     query.getColumn(1).getString()));
    }
  }
}

nlohmann::json items_to_json(SQLite::Database& database, const std::string& kind, bool numbered) {
  nlohmann::json all = numbered ? nlohmann::json::array() : nlohmann::json::object();
  for (const auto& [key, value] : session_store::read_items(database, kind)) {
    if (numbered) {
      nlohmann::json one = value;
      one["id"] = std::stoll(key);
      all.push_back(std::move(one));
    } else {
      all[key] = value;
    }
  }
  return all;
}

}  // namespace

Expected<std::vector<std::string>> Session::check() const {
  SQLite::Database& database = *impl_->database;
  return session_database::guarded(impl_->path, [&]() -> Expected<Problems> {
    Problems problems;
    check_sqlite(database, problems);
    if (!problems.empty()) return problems;  // the rest would only stumble over the same
    check_history(database, problems);
    check_references(database, problems);
    check_results(database, problems);
    return problems;
  });
}

Expected<nlohmann::json> Session::export_json() const {
  SQLite::Database& database = *impl_->database;
  return session_database::guarded(impl_->path, [&]() -> Expected<nlohmann::json> {
    nlohmann::json all;
    all["format"] = "moescope session";
    all["version"] = session_schema::version_of(database);
    all["sources"] = items_to_json(database, "source", true);
    all["annotations"] = items_to_json(database, "annotation", true);
    all["prompts"] = items_to_json(database, "prompt", true);
    all["state"] = items_to_json(database, "state", false);
    all["options"] = items_to_json(database, "option", false);
    all["actions"] = nlohmann::json::array();
    SQLite::Statement actions(database,
                              "SELECT sequence, at, command, title, undone, edits FROM actions ORDER BY sequence");
    while (actions.executeStep()) {
      all["actions"].push_back({{"sequence", actions.getColumn(0).getInt64()},
                                {"at", actions.getColumn(1).getString()},
                                {"command", actions.getColumn(2).getString()},
                                {"title", actions.getColumn(3).getString()},
                                {"undone", actions.getColumn(4).getInt() != 0},
                                {"edits", nlohmann::json::parse(actions.getColumn(5).getString())}});
    }
    all["results"] = nlohmann::json::array();
    SQLite::Statement results(database, "SELECT key, analysis, bytes FROM results ORDER BY used DESC");
    while (results.executeStep()) {
      all["results"].push_back({{"key", results.getColumn(0).getString()},
                                {"analysis", results.getColumn(1).getString()},
                                {"bytes", results.getColumn(2).getInt64()}});
    }
    return all;
  });
}

}  // namespace moescope
