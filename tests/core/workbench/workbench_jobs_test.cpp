// What the workbench does in jobs: Results, exports and runs.
#include <gmock/gmock.h>

#include <iterator>

#include "core/model/synth.h"
#include "core/session/session.h"
#include "core/workbench/workbench.h"
#include "tests/core/workbench/workbench_fixture.h"

namespace moescope::workbench_jobs_test {
namespace {

using testing::HasSubstr;

TEST_F(WorkbenchTest, AResultIsComputedOnceAndThenAtHandAtOnce) {
  must("source.open", {{"path", trace_file.string()}});
  ResultPtr first;
  bool at_once = false;
  workbench->request_result("load", "expert_load", {}, [&](const Expected<ResultPtr>& result) {
    ASSERT_TRUE(result) << result.error().text();
    first = *result;
  });
  EXPECT_FALSE(first) << "computed off the main thread";
  workbench->wait_for_jobs();
  ASSERT_TRUE(first);
  workbench->request_result("load", "expert_load", {{"weighting", "slots"}}, [&](const Expected<ResultPtr>& result) {
    at_once = true;
    EXPECT_EQ(*result, first) << "spelling out a default is the same request";
  });
  EXPECT_TRUE(at_once);
}

TEST_F(WorkbenchTest, ResultsAreKeptInTheSessionAcrossRuns) {
  const auto file = folder / "study.moescope";
  must("session.new", {{"path", file.string()}});
  must("source.open", {{"path", trace_file.string()}});
  const auto computed = workbench->compute_result("expert_load", {});
  ASSERT_TRUE(computed) << computed.error().text();
  const auto before = result_to_json(**computed);
  start();
  must("session.open", {{"path", file.string()}});
  bool at_once = false;
  workbench->request_result("load", "expert_load", {}, [&](const Expected<ResultPtr>& result) {
    ASSERT_TRUE(result);
    at_once = true;
    EXPECT_EQ(result_to_json(**result), before);
  });
  EXPECT_TRUE(at_once);
}

TEST_F(WorkbenchTest, AResultFollowsTheFilter) {
  must("source.open", {{"path", trace_file.string()}});
  const auto all = workbench->compute_result("expert_load", {});
  must("filter.set", {{"text", "domain == \"code\""}});
  const auto code = workbench->compute_result("expert_load", {});
  ASSERT_TRUE(all && code);
  EXPECT_EQ((*all)->provenance.tokens, 40U);
  EXPECT_EQ((*code)->provenance.tokens, 20U);
  EXPECT_EQ((*code)->provenance.filter, "domain == \"code\"");
}

TEST_F(WorkbenchTest, OnlyTheNewestRequestOfASlotIsAnswered) {
  must("source.open", {{"path", trace_file.string()}});
  int old_answers = 0, new_answers = 0;
  for (int i = 0; i < 20; ++i) {
    workbench->request_result("view", "affinity", {{"row", 0}, {"null_draws", 20 + i}},
                              [&, i](const Expected<ResultPtr>&) { ++(i < 19 ? old_answers : new_answers); });
  }
  workbench->wait_for_jobs();
  EXPECT_EQ(old_answers, 0);
  EXPECT_EQ(new_answers, 1);
}

TEST_F(WorkbenchTest, FilesAreOpenedAndTokensFilteredInTheBackgroundWhenAsked) {
  const auto background = [](nlohmann::json arguments) {
    arguments["background"] = true;
    return arguments;
  };
  EXPECT_TRUE(must("source.open", background({{"path", trace_file.string()}})).contains("job"));
  EXPECT_EQ(workbench->active_trace(), nullptr) << "nothing changes before the job is done";
  workbench->wait_for_jobs();
  ASSERT_NE(workbench->active_trace(), nullptr);
  must("filter.set", background({{"text", "domain == \"code\""}}));
  EXPECT_TRUE(workbench->filter().mask.all());
  workbench->wait_for_jobs();
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
  EXPECT_EQ(workbench->next_undo(), "filter domain == \"code\"");
  must("select.tokens", background({{"first", 3}, {"count", 4}}));
  must("filter.clear", background(nlohmann::json::object()));
  workbench->wait_for_jobs();
  EXPECT_TRUE(workbench->filter().mask.all()) << "the newer of two wins";
}

TEST_F(WorkbenchTest, AnErrorOfTheBackgroundIsTheWorkbenchsLastError) {
  must("source.open", {{"path", (folder / "absent").string()}, {"background", true}});
  workbench->wait_for_jobs();
  ASSERT_TRUE(workbench->last_error());
  EXPECT_THAT(workbench->last_error()->where, HasSubstr("absent"));
  EXPECT_FALSE(run("note.add", {{"text", "x"}, {"background", true}})) << "only slow commands know the word";
}

TEST_F(WorkbenchTest, ASessionOpensInTheBackgroundWithItsSourcesAndFilter) {
  const auto file = folder / "study.moescope";
  must("session.new", {{"path", file.string()}});
  must("source.open", {{"path", trace_file.string()}});
  must("filter.set", {{"text", "domain == \"prose\""}});
  start();
  must("session.open", {{"path", file.string()}, {"background", true}});
  EXPECT_EQ(workbench->active_trace(), nullptr);
  workbench->wait_for_jobs();
  EXPECT_EQ(workbench->session_path(), file);
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_EQ(workbench->filter().mask.selected, 20U);
}

TEST_F(WorkbenchTest, AStoredResultNamesTheFileWhereItIsNow) {
  const auto file = folder / "study.moescope";
  must("session.new", {{"path", file.string()}});
  must("source.open", {{"path", trace_file.string()}});
  const auto before = workbench->compute_result("expert_load", {});
  ASSERT_TRUE(before);
  EXPECT_THAT((*before)->provenance.command_line, HasSubstr("analyze " + trace_file.string() + " "));
  start();
  const auto moved = folder / "moved.routes.safetensors";
  std::filesystem::rename(trace_file, moved);
  must("session.open", {{"path", file.string()}});
  must("source.locate", {{"id", workbench->sources().front().id}, {"path", moved.string()}});
  const auto after = workbench->compute_result("expert_load", {});
  ASSERT_TRUE(after) << after.error().text();
  EXPECT_THAT((*after)->provenance.command_line, HasSubstr("analyze " + moved.string() + " "));
}

TEST_F(WorkbenchTest, WithoutATraceOrWithABadParameterTheAnswerIsAnError) {
  int errors = 0;
  const auto count = [&](const Expected<ResultPtr>& result) { errors += result ? 0 : 1; };
  workbench->request_result("a", "expert_load", {}, count);
  EXPECT_EQ(errors, 1);
  must("source.open", {{"path", trace_file.string()}});
  workbench->request_result("a", "expert_load", {{"weighting", "nonsense"}}, count);
  workbench->request_result("b", "no_such_analysis", {}, count);
  workbench->wait_for_jobs();
  EXPECT_EQ(errors, 3);
}

TEST_F(WorkbenchTest, ExportsAResultBySuffix) {
  must("source.open", {{"path", trace_file.string()}});
  must("result.export", {{"analysis", "expert_load"}, {"path", (folder / "r.csv").string()}});
  must("result.export", {{"analysis", "expert_load"}, {"path", (folder / "r.json").string()}});
  EXPECT_FALSE(run("result.export", {{"analysis", "expert_load"}, {"path", (folder / "r.xls").string()}}));
  EXPECT_THAT(run("result.export", {{"analysis", "nonsense"}, {"path", "x.csv"}}).error().advice,
              HasSubstr("expert_load"));
  workbench->wait_for_jobs();
  EXPECT_GT(std::filesystem::file_size(folder / "r.csv"), 100U);
  std::ifstream in(folder / "r.json");
  EXPECT_TRUE(result_from_json(nlohmann::json::parse(in)));
}

TEST_F(WorkbenchTest, ExportsAReportAsHtmlAndByAWriterOfTheProgram) {
  must("source.open", {{"path", trace_file.string()}});
  must("note.add", {{"text", "a note that the report quotes"}, {"anchor", "L0·E01"}});
  must("report.export", {{"path", (folder / "r.html").string()}});
  EXPECT_THAT(run("report.export", {{"path", (folder / "r.pdf").string()}}).error().advice, HasSubstr(".html"));
  workbench->wait_for_jobs();
  EXPECT_FALSE(workbench->last_error()) << workbench->last_error()->text();
  std::ifstream in(folder / "r.html");
  const std::string html{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, HasSubstr("a note that the report quotes"));

  std::string title;
  WorkbenchOptions options;
  options.report_writers[".pdf"] = [&](const Report& report, const std::filesystem::path&) -> Expected<void> {
    title = report.title;
    return {};
  };
  Workbench other(options);
  ASSERT_TRUE(other.commands().run("source.open", {{"path", trace_file.string()}}));
  ASSERT_TRUE(other.commands().run("report.export", {{"path", "r.pdf"}, {"title", "My routing study"}}));
  other.wait_for_jobs();
  EXPECT_EQ(title, "My routing study");
}

class RunTest : public WorkbenchTest {
 protected:
  void SetUp() override {
    WorkbenchTest::SetUp();
    SynthOptions synth;
    synth.layers = 1;
    synth.hidden = 16;
    synth.intermediate = 16;
    synth.heads = 2;
    synth.vocabulary = 50257;
    synth.max_positions = 64;
    synth.tokenizer = std::filesystem::path(MOESCOPE_TEST_DATA) / "tokenizers" / "gpt2.tokenizer.json";
    const auto made = write_random_checkpoint(synth, folder / "model");
    ASSERT_TRUE(made) << made.error().text();
  }
};

TEST_F(RunTest, APromptBecomesATraceThatIsShownAndKept) {
  EXPECT_THAT(run("run.prompt", {{"text", "Hello"}}).error().what, HasSubstr("open a checkpoint"));
  must("source.open", {{"path", (folder / "model").string()}});
  ASSERT_NE(workbench->active_checkpoint(), nullptr);
  must("run.prompt", {{"text", "Hello, wide world"}, {"format", "raw"}});
  workbench->wait_for_jobs();
  EXPECT_FALSE(workbench->last_error()) << workbench->last_error()->text();
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_TRUE(workbench->active_trace()->trace);
  EXPECT_EQ(workbench->prompts().at(0).text, "Hello, wide world");
  ASSERT_EQ(engine->last.sequences.size(), 1U);
  EXPECT_EQ(engine->last.sequences[0].text, "Hello, wide world");
  EXPECT_EQ(engine->last.sequences[0].spans.size(), engine->last.sequences[0].ids.size());
  EXPECT_FALSE(run("run.prompt", {{"text", "x"}, {"format", "nonsense"}}));
}

TEST_F(RunTest, TracesOfPromptsGoWithTheSessionThatIsSaved) {
  must("source.open", {{"path", (folder / "model").string()}});
  must("run.prompt", {{"text", "Hello"}});
  workbench->wait_for_jobs();
  const auto scratch = workbench->active_trace()->path;
  EXPECT_TRUE(std::filesystem::exists(scratch));
  std::filesystem::create_directories(folder / "kept");
  must("session.save_as", {{"path", (folder / "kept" / "study.moescope").string()}});
  EXPECT_EQ(workbench->active_trace()->path, folder / "kept" / "study.runs" / scratch.filename());
  EXPECT_TRUE(workbench->active_trace()->trace);
  EXPECT_FALSE(std::filesystem::exists(scratch)) << "nothing is left in the settings folder";
  must("edit.undo");
  must("edit.redo");
  EXPECT_TRUE(workbench->active_trace()->trace) << "the history knows the new place too";
  workbench.reset();
  std::filesystem::rename(folder / "kept", folder / "sent");
  start();
  must("session.open", {{"path", (folder / "sent" / "study.moescope").string()}});
  EXPECT_TRUE(workbench->active_trace()->trace);
}

TEST_F(RunTest, AWorkerThatDiedIsAnErrorAndTheNextRunWorks) {
  must("source.open", {{"path", (folder / "model").string()}});
  engine->die = true;
  const auto job = must("run.prompt", {{"text", "Hello"}})["job"];
  workbench->wait_for_jobs();
  ASSERT_TRUE(workbench->last_error());
  EXPECT_EQ(workbench->last_error()->kind, ErrorKind::module);
  EXPECT_EQ(workbench->sources().size(), 1U);
  bool listed = false;
  for (const JobStatus& status : workbench->jobs()) listed |= status.id == job && status.state == JobState::failed;
  EXPECT_TRUE(listed);
  engine->die = false;
  must("run.prompt", {{"text", "Hello"}});
  workbench->wait_for_jobs();
  EXPECT_EQ(workbench->sources().size(), 2U);
}

TEST_F(RunTest, ACancelledRunChangesNothing) {
  must("source.open", {{"path", (folder / "model").string()}});
  engine->endless = true;
  const auto job = must("run.prompt", {{"text", "Hello"}})["job"];
  must("job.cancel", {{"id", job}});
  workbench->wait_for_jobs();
  EXPECT_FALSE(workbench->last_error());
  EXPECT_EQ(workbench->sources().size(), 1U);
  EXPECT_FALSE(run("job.cancel", {{"id", job}}));
}

TEST_F(RunTest, AGenerationIsShownWhileItRunsAndIsASourceAtTheEnd) {
  must("source.open", {{"path", trace_file.string()}});
  must("source.open", {{"path", (folder / "model").string()}});
  must("filter.set", {{"text", "domain == \"code\""}});
  std::vector<std::size_t> seen;
  const auto listener = workbench->listen([&](Changes changes) {
    const Source* shown = workbench->active_trace();
    if ((changes & static_cast<Changes>(Change::active_trace)) != 0 && shown->id < 0)
      seen.push_back(shown->trace->token_count());
  });
  must("run.generate", {{"text", "Hello, wide world"},
                        {"max_tokens", 5},
                        {"temperature", 0.7},
                        {"top_p", 0.9},
                        {"seed", 3},
                        {"keep_going", true}});
  workbench->wait_for_jobs();
  EXPECT_FALSE(workbench->last_error()) << workbench->last_error()->text();
  const GenerateOptions& asked = *engine->last.generate;
  EXPECT_EQ(asked.max_tokens, 5U);
  EXPECT_DOUBLE_EQ(asked.temperature, 0.7);
  EXPECT_DOUBLE_EQ(asked.top_p, 0.9);
  EXPECT_EQ(asked.seed, 3U);
  EXPECT_TRUE(asked.stop.empty());
  const std::size_t prompt = engine->last.sequences.front().ids.size();
  EXPECT_EQ(seen, (std::vector<std::size_t>{prompt + 1, prompt + 2, prompt + 3}));
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_GT(workbench->active_trace()->id, 0) << "the whole trace is a source";
  EXPECT_EQ(workbench->sources().size(), 3U);
  EXPECT_FALSE(std::filesystem::exists(asked.live_trace));
  EXPECT_EQ(workbench->prompts().at(0).text, "Hello, wide world");
  EXPECT_EQ(run("run.generate", {{"text", "a"}, {"temperature", -1}}).error().kind, ErrorKind::usage);
  EXPECT_EQ(run("run.generate", {{"text", "a"}, {"max_tokens", 0}}).error().kind, ErrorKind::usage);
}

TEST_F(RunTest, AfterACancelledGenerationTheFormerTraceIsShown) {
  must("source.open", {{"path", trace_file.string()}});
  must("source.open", {{"path", (folder / "model").string()}});
  const std::int64_t before = workbench->active_trace()->id;
  engine->endless = true;
  const auto job = must("run.generate", {{"text", "Hello"}})["job"];
  std::optional<std::int64_t> live;
  const auto listener = workbench->listen([&](Changes) {
    const Source* shown = workbench->active_trace();
    if (live || !shown || shown->id > 0) return;
    live = shown->id;
    must("select.expert", {{"row", 1}, {"expert", 2}});
    must("job.cancel", {{"id", job}});
  });
  workbench->wait_for_jobs();
  EXPECT_TRUE(live) << "it was shown";
  EXPECT_FALSE(workbench->last_error());
  EXPECT_EQ(workbench->active_trace()->id, before);
  EXPECT_EQ(workbench->sources().size(), 2U);
  EXPECT_EQ(workbench->selection().experts, (std::vector<ExpertRef>{{1, 2}}));
}

TEST_F(RunTest, AWorkerThatDiesWhileGeneratingIsAnError) {
  must("source.open", {{"path", (folder / "model").string()}});
  engine->die = true;
  must("run.generate", {{"text", "Hello"}});
  workbench->wait_for_jobs();
  ASSERT_TRUE(workbench->last_error());
  EXPECT_EQ(workbench->last_error()->kind, ErrorKind::module);
  EXPECT_EQ(workbench->active_trace(), nullptr);
}

TEST_F(RunTest, ACheckpointWithoutATraceHasResultsAndExpertsToSelect) {
  must("source.open", {{"path", (folder / "model").string()}});
  ResultPtr card;
  workbench->request_result("card", "model_card", {}, [&](const Expected<ResultPtr>& result) {
    ASSERT_TRUE(result) << result.error().text();
    card = *result;
  });
  workbench->wait_for_jobs();
  ASSERT_TRUE(card);
  EXPECT_EQ(workbench->known_result("model_card", {}), card);
  EXPECT_EQ(workbench->known_result("expert_norms", {}), nullptr);
  EXPECT_THAT(card->provenance.command_line, HasSubstr("--analysis model_card"));
  must("select.expert", {{"row", 0}, {"expert", 1}});
  EXPECT_EQ(workbench->next_undo(), "select L0·E01");
  EXPECT_FALSE(run("select.expert", {{"row", 1}, {"expert", 0}})) << "the model has one layer";
  EXPECT_FALSE(run("select.token", {{"token", 0}}));
  must("result.export", {{"analysis", "expert_norms"}, {"path", (folder / "norms.csv").string()}});
  workbench->wait_for_jobs();
  EXPECT_GT(std::filesystem::file_size(folder / "norms.csv"), 40U);
  must("source.remove", {{"id", workbench->active_checkpoint()->id}});
  EXPECT_TRUE(workbench->selection().empty());
  EXPECT_EQ(workbench->compute_result("model_card", {}).error().kind, ErrorKind::usage);
}

TEST_F(RunTest, ACaptureCutsTextAndKeepsTags) {
  must("source.open", {{"path", (folder / "model").string()}});
  write(folder / "text.jsonl",
        "{\"text\": \"one two three four five six seven eight\", \"domain\": \"prose\"}\n\n"
        "{\"text\": \"int x;\", \"domain\": \"code\", \"year\": 1999}\n");
  const auto out = folder / "out.routes.safetensors";
  must("run.capture", {{"jsonl", (folder / "text.jsonl").string()},
                       {"sequence_tokens", 3},
                       {"out", out.string()},
                       {"record", {{"router_logits", true}}}});
  workbench->wait_for_jobs();
  EXPECT_FALSE(workbench->last_error()) << workbench->last_error()->text();
  const RunRequest& request = engine->last;
  EXPECT_TRUE(request.record.router_logits);
  ASSERT_GE(request.sequences.size(), 4U);
  std::string joined;
  for (std::size_t i = 0; i + 1 < request.sequences.size(); ++i) {
    EXPECT_LE(request.sequences[i].ids.size(), 3U);
    if (request.sequences[i].tags.at("domain") == "prose") joined += request.sequences[i].text;
  }
  EXPECT_EQ(joined, "one two three four five six seven eight");
  EXPECT_EQ(request.sequences.back().tags.at("year"), "1999");
  EXPECT_EQ(workbench->active_trace()->path, out);
}

TEST_F(RunTest, ACaptureRefusesBadInput) {
  must("source.open", {{"path", (folder / "model").string()}});
  EXPECT_EQ(run("run.capture").error().kind, ErrorKind::usage);
  EXPECT_EQ(run("run.capture", {{"prompt", "a"}, {"ids", "1"}}).error().kind, ErrorKind::usage);
  EXPECT_THAT(run("run.capture", {{"ids", "1,2,50257"}}).error().what, HasSubstr("50257"));
  EXPECT_FALSE(run("run.capture", {{"ids", "1,two"}}));
  EXPECT_FALSE(run("run.capture", {{"text_file", "/nowhere"}}));
  write(folder / "bad.jsonl", "{\"text\": \"fine\"}\n{\"txt\": 1}\n");
  EXPECT_THAT(run("run.capture", {{"jsonl", (folder / "bad.jsonl").string()}}).error().where, HasSubstr("line 2"));
}

}  // namespace
}  // namespace moescope::workbench_jobs_test
