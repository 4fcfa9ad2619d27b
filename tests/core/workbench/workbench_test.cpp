#include "core/workbench/workbench.h"

#include <gmock/gmock.h>

#include <sstream>

#include "core/workbench/script.h"
#include "tests/core/workbench/workbench_fixture.h"

namespace moescope::workbench_test {
namespace {

using testing::HasSubstr;

TEST_F(WorkbenchTest, EveryCommandHasATitleAndHelpAndNoneClashes) {
  EXPECT_FALSE(workbench->last_error()) << workbench->last_error()->text();
  EXPECT_GT(workbench->commands().all().size(), 24U);
  for (const CommandSpec& spec : workbench->commands().all()) {
    EXPECT_FALSE(spec.title.empty()) << spec.id;
    EXPECT_THAT(spec.help, testing::EndsWith(".")) << spec.id;
  }
}

TEST_F(WorkbenchTest, OpensATraceAndTellsWhatChanged) {
  Changes seen = 0;
  const auto handle = workbench->listen([&](Changes changes) { seen |= changes; });
  const auto reply = must("source.open", {{"path", trace_file.string()}});
  EXPECT_EQ(reply["kind"], "trace");
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_EQ(workbench->active_trace()->id, reply["id"]);
  EXPECT_EQ(workbench->active_trace()->trace->token_count(), 40U);
  EXPECT_TRUE(seen & static_cast<Changes>(Change::sources));
  EXPECT_TRUE(seen & static_cast<Changes>(Change::active_trace));
  EXPECT_TRUE(seen & static_cast<Changes>(Change::undo));
  EXPECT_EQ(workbench->recent_files().front(), trace_file);
  must("source.open", {{"path", trace_file.string()}});
  EXPECT_EQ(workbench->sources().size(), 1U) << "opening it again shows it again";
}

TEST_F(WorkbenchTest, BadFilesGiveOneErrorEachAndTheNextCommandWorks) {
  const auto bad = folder / "bad";
  std::filesystem::create_directories(bad / "empty-folder");
  write(bad / "empty.safetensors", "");
  write(bad / "text.txt", "hello");
  write(bad / "cut.safetensors", std::string("\x50\0\0\0\0\0\0\0{\"a", 11));
  write(bad / "huge.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  write(bad / "json.safetensors", std::string("\x04\0\0\0\0\0\0\0{{{{", 12));
  std::filesystem::create_directories(bad / "model");
  write(bad / "model" / "config.json", "{\"model_type\": \"olmoe\"");
  for (const char* name : {"missing", "empty-folder", "empty.safetensors", "text.txt", "cut.safetensors",
                           "huge.safetensors", "json.safetensors", "model"}) {
    const auto reply = run("source.open", {{"path", (bad / name).string()}});
    ASSERT_FALSE(reply) << name;
    EXPECT_EQ(exit_code(reply.error().kind), 2) << name << ": " << reply.error().text();
    EXPECT_FALSE(reply.error().where.empty()) << name;
    EXPECT_FALSE(reply.error().advice.empty()) << name << ": " << reply.error().text();
    EXPECT_TRUE(workbench->sources().empty());
  }
  must("source.open", {{"path", trace_file.string()}});
}

TEST_F(WorkbenchTest, FiltersAreCheckedStoredAndUndone) {
  EXPECT_THAT(run("filter.set", {{"text", "position < 5"}}).error().what, HasSubstr("open a trace"));
  must("source.open", {{"path", trace_file.string()}});
  EXPECT_EQ(must("filter.set", {{"text", "domain == \"code\""}})["tokens"], 20);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  EXPECT_FALSE(run("filter.set", {{"text", "domain =="}}));
  EXPECT_EQ(workbench->filter().filter.text, "domain == \"code\"") << "a filter that does not parse changes nothing";
  must("select.tokens", {{"first", 3}, {"count", 4}});
  EXPECT_EQ(workbench->filter().mask.selected, 4U);
  EXPECT_FALSE(run("select.tokens", {{"first", 38}, {"count", 4}}));
  must("edit.undo");
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  must("filter.clear");
  EXPECT_TRUE(workbench->filter().mask.all());
  must("edit.undo");
  must("edit.undo");
  EXPECT_TRUE(workbench->filter().mask.all());
  must("edit.redo");
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
}

TEST_F(WorkbenchTest, SelectionIsCheckedAgainstTheTrace) {
  must("source.open", {{"path", trace_file.string()}});
  must("select.expert", {{"row", 1}, {"expert", 3}});
  must("select.expert", {{"row", 0}, {"expert", 2}, {"add", true}});
  EXPECT_EQ(workbench->selection().experts, (std::vector<ExpertRef>{{1, 3}, {0, 2}}));
  EXPECT_EQ(workbench->next_undo(), "select L0·E02");
  must("select.expert", {{"row", 1}, {"expert", 3}, {"add", true}});
  EXPECT_EQ(workbench->selection().experts, (std::vector<ExpertRef>{{0, 2}})) << "adding again takes away";
  EXPECT_FALSE(run("select.expert", {{"row", 2}, {"expert", 0}}));
  EXPECT_FALSE(run("select.expert", {{"row", 0}, {"expert", 4}}));
  EXPECT_FALSE(run("select.expert", {{"row", -1}, {"expert", 0}}));
  must("select.link", {{"from_row", 0}, {"from", 1}, {"to_row", 1}, {"to", 2}});
  EXPECT_EQ(workbench->selection().link, (LinkRef{{0, 1}, {1, 2}}));
  for (int token = 5; token < 15; ++token) must("select.token", {{"token", token}});
  EXPECT_EQ(workbench->selection().token, 14U);
  EXPECT_FALSE(run("select.token", {{"token", 40}}));
  must("edit.undo");
  EXPECT_FALSE(workbench->selection().token) << "stepping through tokens is one step of undo";
  must("select.token", {{"token", 7}, {"transient", true}});
  EXPECT_EQ(workbench->selection().token, 7U);
  EXPECT_THAT(workbench->next_undo(), HasSubstr("→")) << "playing is not kept";
}

TEST_F(WorkbenchTest, NotesAreAddedEditedRemovedAndUndone) {
  const auto id = must("note.add", {{"text", "answers to digits"}, {"anchor", "L3·E04"}})["id"];
  must("note.edit", {{"id", id}, {"text", "answers to numbers"}});
  EXPECT_EQ(workbench->annotations().at(0).text, "answers to numbers");
  EXPECT_EQ(workbench->annotations().at(0).anchor, "L3·E04");
  must("note.remove", {{"id", id}});
  EXPECT_TRUE(workbench->annotations().empty());
  must("edit.undo");
  must("edit.undo");
  EXPECT_EQ(workbench->annotations().at(0).text, "answers to digits");
  EXPECT_FALSE(run("note.edit", {{"id", 99}, {"text", "x"}}));
  EXPECT_FALSE(run("note.add", {{"text", ""}}));
}

TEST_F(WorkbenchTest, OptionsAreKeptAndASliderIsOneStep) {
  EXPECT_EQ(workbench->option("experts.sort", "index"), "index");
  must("option.set", {{"name", "experts.sort"}, {"value", "load"}});
  for (int i = 0; i < 20; ++i) must("option.set", {{"name", "routes.threshold"}, {"value", i / 100.0}});
  EXPECT_EQ(workbench->option("routes.threshold", 0.5), 0.19);
  must("edit.undo");
  EXPECT_EQ(workbench->option("routes.threshold", 0.5), 0.5);
  EXPECT_EQ(workbench->option("experts.sort", "index"), "load");
}

TEST_F(WorkbenchTest, AnotherTraceDropsWhatDoesNotFitIt) {
  const auto first = must("source.open", {{"path", trace_file.string()}})["id"];
  const auto other = folder / "data" / "short.routes.safetensors";
  write_small_trace(other, 10);
  must("filter.set", {{"text", "position < 5"}});
  must("select.token", {{"token", 30}});
  must("source.open", {{"path", other.string()}});
  EXPECT_EQ(workbench->filter().mask.selected, 5U) << "a filter that fits is kept and applied";
  EXPECT_TRUE(workbench->selection().empty());
  must("edit.undo");
  EXPECT_EQ(workbench->selection().token, 30U);
  EXPECT_EQ(workbench->active_trace()->id, first);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
}

TEST_F(WorkbenchTest, RemovingASourceTakesItsNotesAndUndoBringsAllBack) {
  const auto id = must("source.open", {{"path", trace_file.string()}})["id"];
  must("filter.set", {{"text", "position < 5"}});
  must("note.add", {{"text", "note"}});
  must("source.remove", {{"id", id}});
  EXPECT_EQ(workbench->active_trace(), nullptr);
  EXPECT_TRUE(workbench->annotations().empty());
  EXPECT_TRUE(workbench->filter().mask.all());
  must("edit.undo");
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_TRUE(workbench->active_trace()->trace);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  EXPECT_EQ(workbench->annotations().size(), 1U);
}

TEST_F(WorkbenchTest, AScriptGetsAReplyPerLine) {
  std::istringstream in(
      "# comment\n\nnote.add {\"text\": \"b\"}\n{\"command\": \"note.add\", \"arguments\": {\"text\": "
      "\"a\"}}\nnonsense\n" +
      nlohmann::json{{"command", "source.open"}, {"arguments", {{"path", "/nowhere"}}}}.dump() + "\n");
  std::ostringstream out;
  EXPECT_EQ(run_script(*workbench, in, out), 2);
  std::istringstream lines(out.str());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(nlohmann::json::parse(line)["reply"]["action"], 1);
  std::getline(lines, line);
  EXPECT_EQ(nlohmann::json::parse(line)["reply"]["action"], 2);
  std::getline(lines, line);
  EXPECT_EQ(nlohmann::json::parse(line)["ok"], false);
  std::getline(lines, line);
  EXPECT_EQ(nlohmann::json::parse(line)["error"]["kind"], "input");
}

}  // namespace
}  // namespace moescope::workbench_test
