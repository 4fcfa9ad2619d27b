#include "core/session/session.h"

#include <gmock/gmock.h>

#include "tests/core/session/session_fixture.h"

namespace moescope::session_test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(SessionTest, KeepsWhatWasRecordedAfterReopening) {
  {
    auto session = Session::create(file);
    ASSERT_TRUE(session) << session.error().text();
    record(*session, "state", "filter", "position < 10");
    record(*session, "annotation", std::to_string(session->new_id()), {{"source", 0}, {"text", "note"}});
  }
  const auto session = Session::open(file);
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(value_of(*session, "state", "filter"), "position < 10");
  EXPECT_EQ(value_of(*session, "annotation", "1")["text"], "note");
  EXPECT_THAT(*session->check(), IsEmpty());
}

TEST_F(SessionTest, UndoAndRedoSurviveReopening) {
  {
    auto session = Session::create(file);
    record(*session, "state", "filter", "a");
    record(*session, "state", "filter", "b");
    record(*session, "option", "theme", "light");
    EXPECT_TRUE(session->undo());
  }
  auto session = Session::open(file);
  EXPECT_EQ(session->next_undo(), "set state filter");
  EXPECT_EQ(session->next_redo(), "set option theme");
  EXPECT_TRUE(session->undo());
  EXPECT_EQ(value_of(*session, "state", "filter"), "a");
  EXPECT_TRUE(session->undo());
  EXPECT_EQ(value_of(*session, "state", "filter"), nullptr);
  EXPECT_EQ(session->undo().error().kind, ErrorKind::usage);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(session->redo());
  EXPECT_EQ(session->redo().error().kind, ErrorKind::usage);
  EXPECT_EQ(value_of(*session, "state", "filter"), "b");
  EXPECT_EQ(value_of(*session, "option", "theme"), "light");
  EXPECT_THAT(*session->check(), IsEmpty());
}

TEST_F(SessionTest, ANewActionEndsWhatCouldBeRedone) {
  auto session = Session::create({});
  record(*session, "state", "filter", "a");
  const auto undone = record(*session, "state", "filter", "b");
  ASSERT_TRUE(session->undo());
  const auto next = record(*session, "state", "filter", "c");
  EXPECT_GT(next, undone) << "a sequence is never given twice";
  EXPECT_EQ(session->next_redo(), "");
  EXPECT_THAT(*session->check(), IsEmpty());
}

TEST_F(SessionTest, AnActionThatChangesNothingIsNotKept) {
  auto session = Session::create({});
  EXPECT_TRUE(session->untouched());
  EXPECT_GT(record(*session, "option", "theme", "dark"), 0);
  EXPECT_EQ(record(*session, "option", "theme", "dark"), 0);
  EXPECT_EQ(session->actions()->size(), 1U);
  EXPECT_FALSE(session->untouched());
}

TEST_F(SessionTest, ActionsWithTheSameMergeKeyAreOneStepOfUndo) {
  auto session = Session::create({});
  record(*session, "option", "threshold", 0.1);
  for (int i = 2; i < 10; ++i) record(*session, "option", "threshold", 0.1 * i, "slider");
  record(*session, "option", "theme", "light");
  EXPECT_EQ(session->actions()->size(), 3U);
  ASSERT_TRUE(session->undo());
  ASSERT_TRUE(session->undo());
  EXPECT_EQ(value_of(*session, "option", "threshold"), 0.1);
  EXPECT_THAT(*session->check(), IsEmpty());
}

TEST_F(SessionTest, IdsAreNeverGivenTwice) {
  std::int64_t first = 0;
  {
    auto session = Session::create(file);
    first = session->new_id();
    record(*session, "annotation", std::to_string(first), {{"text", "x"}});
    ASSERT_TRUE(session->undo());
    record(*session, "option", "theme", "light");  // the note can no longer be redone, but its id stays taken
  }
  auto session = Session::open(file);
  EXPECT_GT(session->new_id(), first);
}

TEST_F(SessionTest, AFailingActionChangesNothing) {
  auto session = Session::create({});
  record(*session, "state", "filter", "a");
  const auto failed =
      session->record({0, "bad", "bad", "", false, {{"state", "filter", nullptr, "b"}, {"nonsense", "x", nullptr, 1}}});
  EXPECT_FALSE(failed);
  EXPECT_EQ(value_of(*session, "state", "filter"), "a");
  EXPECT_EQ(session->actions()->size(), 1U);
  EXPECT_THAT(*session->check(), IsEmpty());
}

TEST_F(SessionTest, LogsAheadAndLeavesOnePlainFile) {
  {
    auto session = Session::create(file);
    EXPECT_EQ(session->journal_mode(), "wal");
    record(*session, "option", "theme", "light");
    EXPECT_TRUE(std::filesystem::exists(file.string() + "-wal"));
  }
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-shm"));
  const auto session = Session::open(file, {.read_only = true});
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(value_of(*session, "option", "theme"), "light");
}

// unix-dotfile is SQLite's file layer without shared memory, as on a file system that cannot share it.
TEST_F(SessionTest, FallsBackToARollbackJournalWhereThereIsNoSharedMemory) {
  const SessionOptions options{.vfs = "unix-dotfile"};
  {
    auto session = Session::create(file, options);
    ASSERT_TRUE(session) << session.error().text();
    EXPECT_EQ(session->journal_mode(), "delete");
    record(*session, "option", "theme", "light");
  }
  auto session = Session::open(file, options);
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(value_of(*session, "option", "theme"), "light");
  EXPECT_THAT(*session->check(), IsEmpty());
}

// A session whose program died leaves a log; copied to such a file system it must still open, with everything in it.
TEST_F(SessionTest, TakesUpALeftLogWithoutSharedMemory) {
  const auto other = folder / "copied.moescope";
  {
    auto session = Session::create(file);
    record(*session, "option", "theme", "light");
    std::filesystem::copy_file(file, other);
    std::filesystem::copy_file(file.string() + "-wal", other.string() + "-wal");
  }
  auto session = Session::open(other, {.vfs = "unix-dotfile"});
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(session->journal_mode(), "delete");
  EXPECT_EQ(value_of(*session, "option", "theme"), "light");
}

TEST_F(SessionTest, TwoProgramsCannotHaveOneSessionOpen) {
  auto session = Session::create(file);
  const auto second = Session::open(file);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another MoEScope"));
  EXPECT_TRUE(Session::open(file, {.read_only = true})) << "looking is allowed";
  record(*session, "option", "theme", "light");
}

TEST_F(SessionTest, CreatingDoesNotOverwrite) {
  write(file, "precious");
  EXPECT_EQ(Session::create(file).error().kind, ErrorKind::usage);
  EXPECT_EQ(read(file), "precious");
  EXPECT_EQ(Session::create(folder / "missing" / "s.moescope").error().kind, ErrorKind::input);
}

TEST_F(SessionTest, TellsBadFilesApart) {
  EXPECT_THAT(Session::open(folder / "nothing").error().what, HasSubstr("not there"));
  EXPECT_THAT(Session::open(folder).error().what, HasSubstr("not a MoEScope session"));
  write(file, "");
  EXPECT_THAT(Session::open(file).error().what, HasSubstr("not a MoEScope session"));
  write(file, std::string(5000, 'x'));
  EXPECT_THAT(Session::open(file).error().what, HasSubstr("not a MoEScope session"));
  const auto good = folder / "good.moescope";
  {
    auto session = Session::create(good);
    record(*session, "option", "theme", "light");
  }
  std::string bytes = read(good);
  bytes.replace(68, 4, 4, '\0');
  write(file, bytes);
  EXPECT_THAT(Session::open(file).error().what, HasSubstr("this SQLite file is not a MoEScope session"));
  EXPECT_EQ(read(file), bytes) << "a file that is not ours must not be touched";
  bytes = read(good);
  bytes[63] = 99;
  write(file, bytes);
  const auto newer = Session::open(file);
  EXPECT_THAT(newer.error().what, HasSubstr("newer"));
  EXPECT_THAT(newer.error().what, HasSubstr("99"));
}

TEST_F(SessionTest, ADamagedFileIsAnErrorOrFoundByTheCheck) {
  const auto good = folder / "good.moescope";
  {
    auto session = Session::create(good);
    for (int i = 0; i < 50; ++i) record(*session, "option", "o" + std::to_string(i), std::string(200, 'x'));
  }
  const std::string bytes = read(good);
  for (std::size_t page = 0; page < bytes.size(); page += 4096) {
    std::string broken = bytes;
    for (std::size_t i = std::max<std::size_t>(page, 100); i < page + 4096; ++i) broken[i] = static_cast<char>(0xA5);
    std::filesystem::remove(file);
    write(file, broken);
    auto session = Session::open(file);
    if (!session) {
      EXPECT_EQ(session.error().kind, ErrorKind::input) << session.error().text();
      continue;
    }
    const auto problems = session->check();
    EXPECT_TRUE(!problems || !problems->empty()) << "page at " << page;
  }
  write(file, bytes.substr(0, bytes.size() / 2));
  std::filesystem::remove(file.string() + "-wal");
  auto cut = Session::open(file);
  if (cut) {
    const auto problems = cut->check();
    EXPECT_TRUE(!problems || !problems->empty());
  }
}

TEST_F(SessionTest, TheCheckFindsAStateThatTheHistoryDoesNotKnow) {
  {
    auto session = Session::create(file);
    record(*session, "state", "filter", "planted-value-1");
  }
  // The value is stored twice: in the state and in the action. Change one of them behind the session's back.
  std::string bytes = read(file);
  const std::size_t at = bytes.find("planted-value-1");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 14] = '2';
  write(file, bytes);
  const auto session = Session::open(file);
  const auto problems = session->check();
  ASSERT_EQ(problems->size(), 1U);
  EXPECT_THAT(problems->front(), HasSubstr("state filter"));
}

TEST_F(SessionTest, ANoteOnAMissingSourceIsFound) {
  auto session = Session::create({});
  record(*session, "annotation", "7", {{"source", 99}, {"text", "x"}});
  EXPECT_THAT(*session->check(), testing::ElementsAre(HasSubstr("source 99")));
}

TEST_F(SessionTest, AnOlderFileIsUpgradedWithNothingLost) {
  std::filesystem::copy_file(std::filesystem::path(MOESCOPE_TEST_DATA) / "sessions" / "version-1.moescope", file);
  const std::string before = read(file);
  {
    const auto looked = Session::open(file, {.read_only = true});
    ASSERT_TRUE(looked) << looked.error().text();
    EXPECT_TRUE(looked->items("prompt")) << "upgraded in memory only";
  }
  EXPECT_EQ(read(file), before);
  auto session = Session::open(file);
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(value_of(*session, "source", "1")["name"], "sample");
  EXPECT_EQ(value_of(*session, "annotation", "2")["text"], "answers to digits");
  EXPECT_EQ(session->next_redo(), "select L3·E04");
  EXPECT_TRUE(session->cached("key-1"));
  record(*session, "prompt", std::to_string(session->new_id()), {{"text", "1+1="}, {"format", "raw"}});
  EXPECT_THAT(*session->check(), IsEmpty());
  EXPECT_EQ((*session->export_json())["version"], 2);
}

TEST_F(SessionTest, SavingElsewhereGoesOnThereAndLeavesTheOldFileAlone) {
  auto session = Session::create(file);
  record(*session, "source", "1", {{"kind", "trace"}, {"path", (folder / "t.routes.safetensors").string()}});
  EXPECT_EQ(value_of(*session, "source", "1")["relative"], "t.routes.safetensors");
  std::filesystem::create_directories(folder / "deep");
  const auto copy = folder / "deep" / "copy.moescope";
  write(copy, "an older file of that name");
  const auto saved = session->save_as(copy);
  ASSERT_TRUE(saved) << saved.error().text();
  EXPECT_EQ(session->path(), copy);
  EXPECT_EQ(value_of(*session, "source", "1")["relative"], "../t.routes.safetensors");
  record(*session, "option", "theme", "light");
  EXPECT_THAT(*session->check(), IsEmpty());
  const auto old = Session::open(file);
  ASSERT_TRUE(old) << old.error().text();
  EXPECT_EQ(value_of(*old, "option", "theme"), nullptr);
  EXPECT_EQ(value_of(*old, "source", "1")["relative"], "t.routes.safetensors");
  const auto failed = session->save_as(folder / "nowhere" / "x.moescope");
  EXPECT_FALSE(failed);
  EXPECT_EQ(session->path(), copy) << "a failed save leaves the session where it is";
  EXPECT_EQ(value_of(*session, "option", "theme"), "light");
}

TEST_F(SessionTest, ASessionInMemoryCanBeSaved) {
  auto session = Session::create({});
  EXPECT_EQ(session->journal_mode(), "memory");
  record(*session, "option", "theme", "light");
  ASSERT_TRUE(session->save_as(file));
  EXPECT_EQ(session->journal_mode(), "wal");
  EXPECT_EQ(session->next_undo(), "set option theme");
}

TEST_F(SessionTest, TheLeastRecentlyUsedResultGoesFirst) {
  const SessionOptions options{.cache_bytes = 1000};
  {
    auto session = Session::create(file, options);
    for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(session->store_cached(key, "x", std::string(300, *key)));
    EXPECT_TRUE(session->cached("a"));  // now b is the oldest
    ASSERT_TRUE(session->store_cached("d", "x", std::string(300, 'd')));
    EXPECT_FALSE(session->cached("b"));
    EXPECT_EQ(*session->cached("a"), std::string(300, 'a'));
    ASSERT_TRUE(session->store_cached("huge", "x", std::string(2000, 'h')));
    EXPECT_FALSE(session->cached("huge")) << "one that cannot fit is not kept and drives nothing out";
    EXPECT_TRUE(session->cached("c"));
  }
  auto session = Session::open(file, options);
  EXPECT_TRUE(session->cached("a"));
  EXPECT_TRUE(session->untouched()) << "cached results are no action";
}

TEST_F(SessionTest, ExportHasEverything) {
  auto session = Session::create(file);
  record(*session, "source", "1", {{"kind", "trace"}, {"path", "/x"}, {"name", "x"}});
  record(*session, "annotation", "2", {{"source", 1}, {"anchor", "L3·E04"}, {"text", "note"}});
  record(*session, "option", "theme", "light");
  record(*session, "state", "filter", "a");
  ASSERT_TRUE(session->undo());
  const auto json = session->export_json();
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["sources"][0]["id"], 1);
  EXPECT_EQ((*json)["annotations"][0]["text"], "note");
  EXPECT_EQ((*json)["options"]["theme"], "light");
  EXPECT_EQ((*json)["actions"].size(), 4U);
  EXPECT_EQ((*json)["actions"][3]["undone"], true);
}

}  // namespace
}  // namespace moescope::session_test
