// Sessions as the workbench sees them: saving, moving, recovering, sources that moved or changed.
#include <gmock/gmock.h>

#include "core/workbench/workbench.h"
#include "tests/core/workbench/workbench_fixture.h"

namespace moescope::workbench_session_test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(WorkbenchTest, ASavedSessionComesBackWhole) {
  must("source.open", {{"path", trace_file.string()}});
  must("filter.set", {{"text", "domain == \"code\""}});
  must("select.expert", {{"row", 1}, {"expert", 3}});
  must("note.add", {{"text", "note"}, {"anchor", "L1·E03"}});
  must("option.set", {{"name", "theme"}, {"value", "light"}});
  EXPECT_TRUE(workbench->session_unsaved());
  const auto file = folder / "data" / "study.moescope";
  must("session.save_as", {{"path", file.string()}});
  EXPECT_FALSE(workbench->session_unsaved());
  start();
  EXPECT_TRUE(workbench->recoverable_sessions().empty()) << "what was saved need not be recovered";
  must("source.open", {{"path", file.string()}});
  EXPECT_EQ(workbench->session_path(), file);
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_TRUE(workbench->active_trace()->trace);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  EXPECT_EQ(workbench->selection().experts, (std::vector<ExpertRef>{{1, 3}}));
  EXPECT_EQ(workbench->annotations().at(0).text, "note");
  EXPECT_EQ(workbench->option("theme", ""), "light");
  EXPECT_EQ(workbench->next_undo(), "set theme");
  EXPECT_EQ(workbench->recent_files().front(), file);
}

TEST_F(WorkbenchTest, ASessionMovedWithItsFilesFindsThem) {
  must("source.open", {{"path", trace_file.string()}});
  must("session.save_as", {{"path", (folder / "data" / "study.moescope").string()}});
  workbench.reset();
  std::filesystem::rename(folder / "data", folder / "moved");
  start();
  must("session.open", {{"path", (folder / "moved" / "study.moescope").string()}});
  EXPECT_FALSE(workbench->sources().at(0).error) << workbench->sources().at(0).error->text();
  EXPECT_TRUE(workbench->active_trace()->trace);
}

TEST_F(WorkbenchTest, AMissingSourceStaysListedAndCanBeLocated) {
  const auto id = must("source.open", {{"path", trace_file.string()}})["id"];
  must("filter.set", {{"text", "position < 5"}});
  const auto file = folder / "study.moescope";
  must("session.save_as", {{"path", file.string()}});
  workbench.reset();
  const auto moved = folder / "elsewhere.routes.safetensors";
  std::filesystem::rename(trace_file, moved);
  start();
  must("session.open", {{"path", file.string()}});
  ASSERT_EQ(workbench->sources().size(), 1U);
  ASSERT_TRUE(workbench->sources()[0].error);
  EXPECT_THAT(workbench->sources()[0].error->where, HasSubstr("small.routes"));
  EXPECT_FALSE(workbench->compute_result("expert_load", {}));
  const auto other = folder / "other.routes.safetensors";
  write_small_trace(other, 40, 3);
  const auto wrong = run("source.locate", {{"id", id}, {"path", other.string()}});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().what, HasSubstr("not the content"));
  EXPECT_EQ(must("source.locate", {{"id", id}, {"path", moved.string()}})["same"], true);
  EXPECT_FALSE(workbench->sources()[0].error);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  EXPECT_EQ(must("source.locate", {{"id", id}, {"path", other.string()}, {"accept", true}})["same"], false);
  EXPECT_TRUE(workbench->active_trace()->trace);
}

TEST_F(WorkbenchTest, ASourceThatChangedIsFlagged) {
  must("source.open", {{"path", trace_file.string()}});
  const auto file = folder / "study.moescope";
  must("session.save_as", {{"path", file.string()}});
  workbench.reset();
  std::filesystem::remove(trace_file);
  write_small_trace(trace_file, 40, 2);
  start();
  must("session.open", {{"path", file.string()}});
  ASSERT_TRUE(workbench->sources()[0].error);
  EXPECT_THAT(workbench->sources()[0].error->what, HasSubstr("changed"));
}

TEST_F(WorkbenchTest, UnsavedWorkIsFoundAgainAndEmptySessionsAreNot) {
  start();
  EXPECT_THAT(workbench->recoverable_sessions(), IsEmpty());
  EXPECT_FALSE(run("session.recover"));
  must("note.add", {{"text", "precious"}});
  start();
  ASSERT_EQ(workbench->recoverable_sessions().size(), 1U);
  must("session.recover");
  EXPECT_EQ(workbench->annotations().at(0).text, "precious");
  EXPECT_TRUE(workbench->session_unsaved());
  must("session.discard");
  EXPECT_TRUE(workbench->annotations().empty());
  EXPECT_THAT(workbench->recoverable_sessions(), IsEmpty());
}

TEST_F(WorkbenchTest, AnUntouchedSessionOfAProgramThatWasKilledIsClearedAway) {
  const auto left = folder / "settings" / "unsaved" / "left.moescope";
  std::filesystem::copy_file(workbench->session_path(), left);
  start();
  EXPECT_THAT(workbench->recoverable_sessions(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(WorkbenchTest, ASecondProgramDoesNotTakeTheUnsavedSessionOfTheFirst) {
  must("note.add", {{"text", "mine"}});
  Workbench second(WorkbenchOptions{folder / "settings", nullptr, {}});
  EXPECT_THAT(second.recoverable_sessions(), IsEmpty());
  EXPECT_NE(second.session_path(), workbench->session_path());
}

TEST_F(WorkbenchTest, ABadSessionFileLeavesTheCurrentOneOpen) {
  must("note.add", {{"text", "here"}});
  const auto before = workbench->session_path();
  write(folder / "bad.moescope", "SQLite format 3" + std::string(200, '\0'));
  EXPECT_FALSE(run("source.open", {{"path", (folder / "bad.moescope").string()}}));
  EXPECT_FALSE(run("session.open", {{"path", (folder / "none.moescope").string()}}));
  EXPECT_EQ(workbench->session_path(), before);
  EXPECT_EQ(workbench->annotations().size(), 1U);
}

TEST_F(WorkbenchTest, WorksWithoutASettingsFolder) {
  Workbench bare(WorkbenchOptions{});
  EXPECT_EQ(bare.session_path(), "");
  EXPECT_TRUE(bare.commands().run("source.open", {{"path", trace_file.string()}}));
  EXPECT_TRUE(bare.commands().run("session.save_as", {{"path", (folder / "kept.moescope").string()}}));
  EXPECT_EQ(bare.sources().size(), 1U);
}

}  // namespace
}  // namespace moescope::workbench_session_test
