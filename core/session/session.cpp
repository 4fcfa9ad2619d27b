#include "core/session/session.h"

#include <algorithm>
#include <utility>

#include "core/base/publish_file.h"
#include "core/session/session_impl.h"
#include "core/session/store.h"

namespace moescope {
namespace {

Expected<std::optional<FileLock>> take_lock(const std::filesystem::path& path) {
  auto lock = FileLock::try_lock(path);
  if (!lock) return fail(lock.error());
  if (!*lock) {
    return fail(ErrorKind::input, "the session is open in another MoEScope", path.string(),
                "Close it there first, or open a copy of the file");
  }
  return lock;
}

std::filesystem::path beside(const std::filesystem::path& path, const char* suffix) {
  std::filesystem::path other = path;
  other += suffix;
  return other;
}

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    const Session closed(std::move(*this));
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Session::~Session() {
  if (!impl_ || !impl_->database) return;
  if (!impl_->options.read_only && !impl_->path.empty()) session_database::settle(*impl_->database);
}

Expected<Session> Session::create(const std::filesystem::path& path, const SessionOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  auto database = session_database::create_file(path, options);
  if (!database) return fail(database.error());
  impl->database = std::move(*database);
  if (!path.empty()) {
    impl->path = std::filesystem::absolute(path);
    auto lock = take_lock(impl->path);
    if (!lock) return fail(lock.error());
    impl->lock = std::move(*lock);
  }
  return Session(std::move(impl));
}

Expected<Session> Session::open(const std::filesystem::path& path, const SessionOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->path = std::filesystem::absolute(path);
  if (!options.read_only && is_session_file(path)) {
    auto lock = take_lock(impl->path);
    if (!lock) return fail(lock.error());
    impl->lock = std::move(*lock);
  }
  auto database = session_database::open_file(impl->path, options);
  if (!database) return fail(database.error());
  impl->database = std::move(*database);
  const auto highest = session_database::guarded(impl->path, [&]() -> Expected<std::int64_t> {
    return impl->database->execAndGet("SELECT ifnull(max(used), 0) FROM results").getInt64();
  });
  if (!highest) return fail(highest.error());
  impl->last_use = *highest;
  return Session(std::move(impl));
}

std::filesystem::path Session::path() const {
  return impl_->path;
}

std::string Session::journal_mode() const {
  const auto mode = session_database::guarded(
      impl_->path, [&]() -> Expected<std::string> { return session_database::journal_mode(*impl_->database); });
  return mode.value_or("");
}

Expected<std::vector<std::pair<std::string, nlohmann::json>>> Session::items(const std::string& kind) const {
  using Items = std::vector<std::pair<std::string, nlohmann::json>>;
  return session_database::guarded(
      impl_->path, [&]() -> Expected<Items> { return session_store::read_items(*impl_->database, kind); });
}

Expected<void> Session::save_as(const std::filesystem::path& to, const FolderMove& moved) {
  const std::filesystem::path target = std::filesystem::absolute(to);
  if (target == impl_->path) return {};
  std::error_code ignored;
  if (std::filesystem::exists(target, ignored)) {  // somebody may be at work in it
    if (auto lock = take_lock(target); !lock) return fail(lock.error());
  }
  const std::filesystem::path part = beside(target, ".part");
  std::filesystem::remove(part, ignored);
  SessionOptions options = impl_->options;
  options.read_only = false;
  auto copied = session_database::guarded(target, [&]() -> Expected<void> {
    SQLite::Database copy(part.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    session_database::copy(*impl_->database, copy);
    copy.execAndGet("PRAGMA journal_mode = DELETE");
    SQLite::Transaction transaction(copy);
    session_store::rewrite_paths(copy, target.parent_path(), moved);
    transaction.commit();
    return {};
  });
  if (copied) {
    // A log of the file that is replaced must not be taken for one of the new file.
    for (const char* suffix : {"-wal", "-shm", "-journal"}) std::filesystem::remove(beside(target, suffix), ignored);
    copied = publish_file(part, target);
  }
  if (!copied) {
    std::filesystem::remove(part, ignored);
    return copied;
  }
  auto next = open(target, options);
  if (!next) return fail(next.error());
  next->impl_->taken_ids = std::max(next->impl_->taken_ids, impl_->taken_ids);
  *this = std::move(*next);
  return {};
}

}  // namespace moescope
