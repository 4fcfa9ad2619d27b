#include <gmock/gmock.h>

#include "core/io/npy.h"
#include "tests/core/workbench/workbench_fixture.h"

namespace moescope::workbench_import_test {
namespace {

using testing::HasSubstr;

// An array that may be a table of counts or a trace of single experts.
std::string ambiguous() {
  const std::vector<std::int32_t> values{1, 2, 3, 0, 0, 1, 2, 3, 3, 2, 1, 0};
  const std::vector<std::uint64_t> shape{3, 4};
  return npy_header(DType::i32, shape) + std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4);
}

class WorkbenchImportTest : public WorkbenchTest {};

TEST_F(WorkbenchImportTest, ForeignTracesOpenAndComeBackWithTheSession) {
  write(folder / "data/t.jsonl",
        "{\"layer\":0,\"token\":0,\"experts\":[5,2]}\n{\"layer\":1,\"token\":0,\"experts\":[1,0]}\n");
  must("session.new", {{"path", (folder / "s.moescope").string()}});
  const auto reply = must("source.open", {{"path", (folder / "data/t.jsonl").string()}});
  EXPECT_EQ(reply["kind"], "trace");
  ASSERT_NE(workbench->active_trace(), nullptr);
  EXPECT_EQ(workbench->active_trace()->trace->token_count(), 1U);
  start();
  must("session.open", {{"path", (folder / "s.moescope").string()}});
  ASSERT_NE(workbench->active_trace(), nullptr);
  ASSERT_FALSE(workbench->active_trace()->error) << workbench->active_trace()->error->text();
  EXPECT_EQ(workbench->active_trace()->trace->rows().size(), 2U);
}

TEST_F(WorkbenchImportTest, AnAmbiguousFileAsksAndTheChoiceIsKept) {
  write(folder / "data/a.npy", ambiguous());
  const auto path = (folder / "data/a.npy").string();
  const auto asked = run("source.open", {{"path", path}});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().kind, ErrorKind::usage);
  EXPECT_THAT(asked.error().text(), HasSubstr("exflow"));
  must("session.new", {{"path", (folder / "s.moescope").string()}});
  must("source.open", {{"path", path}, {"format", "exflow"}});
  EXPECT_EQ(workbench->active_trace()->trace->token_count(), 3U);
  start();
  must("session.open", {{"path", (folder / "s.moescope").string()}});
  ASSERT_NE(workbench->active_trace(), nullptr);
  ASSERT_FALSE(workbench->active_trace()->error) << workbench->active_trace()->error->text();
  EXPECT_EQ(workbench->active_trace()->trace->token_count(), 3U);
}

TEST_F(WorkbenchImportTest, TheModelIsJoined) {
  write(folder / "data/t.jsonl", "{\"layer\":1,\"token\":0,\"experts\":[5,2]}\n");
  write(
      folder / "data/config.json",
      R"({"model_type":"toy","num_hidden_layers":2,"num_experts":8,"num_experts_per_tok":2,"first_k_dense_replace":1})");
  must("source.open",
       {{"path", (folder / "data/t.jsonl").string()}, {"model", (folder / "data/config.json").string()}});
  const Trace& trace = *workbench->active_trace()->trace;
  EXPECT_EQ(trace.rows()[0].experts, 8U);
  EXPECT_EQ(trace.info->model_family, "toy");
}

TEST_F(WorkbenchImportTest, WhatNothingFitsSaysWhatWasLookedFor) {
  write(folder / "data/x.txt", "hello\n");
  const auto refused = run("source.open", {{"path", (folder / "data/x.txt").string()}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("SGLang"));
  const auto wrong = run("source.open", {{"path", (folder / "data/x.txt").string()}, {"top_k", "many"}});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().what, HasSubstr("top_k"));
}

}  // namespace
}  // namespace moescope::workbench_import_test
