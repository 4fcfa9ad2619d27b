#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::script_test {
namespace {

using testing::HasSubstr;

TEST(CliScript, RunsTheWorkbenchsCommandsAndRepliesLineByLine) {
  const TemporaryFolder folder;
  const std::string trace = folder.file("small.routes.safetensors");
  write_small_trace(trace);
  const nlohmann::json open{{"command", "source.open"}, {"arguments", {{"path", trace}}}, {"wait", true}};
  const nlohmann::json save{{"command", "session.save_as"}, {"arguments", {{"path", folder.file("s.moescope")}}}};
  write_text(folder.file("script"), open.dump() + "\n" + save.dump() + "\n");
  const Outcome outcome = run_cli({"script", folder.file("script")});
  ASSERT_EQ(outcome.code, 0) << outcome.err << outcome.out;
  std::istringstream lines(outcome.out);
  int replies = 0;
  for (std::string line; std::getline(lines, line); ++replies) EXPECT_TRUE(nlohmann::json::parse(line)["ok"]) << line;
  EXPECT_EQ(replies, 2);
  EXPECT_EQ(nlohmann::json::parse(run_cli({"info", folder.file("s.moescope"), "--json"}).out)["sources"].size(), 1U);
}

TEST(CliScript, FailedLinesAreToldAndCounted) {
  const TemporaryFolder folder;
  write_text(folder.file("script"), "{\"command\": \"no.such\", \"arguments\": {}}\n");
  const Outcome outcome = run_cli({"script", folder.file("script")});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.out, HasSubstr("\"ok\":false"));
  EXPECT_THAT(outcome.err, HasSubstr("1 line failed"));
  EXPECT_THAT(run_cli({"script", "--list"}).out, HasSubstr("source.open"));
}

}  // namespace
}  // namespace moescope::test::script_test
