#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::session_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(CliSession, NewShowExportAndCheckWorkTogether) {
  const TemporaryFolder folder;
  const std::string trace = folder.file("small.routes.safetensors");
  const std::string session = folder.file("study.moescope");
  write_small_trace(trace);
  const Outcome made = run_cli({"session", "new", session, trace});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("1 source"));
  const Outcome shown = run_cli({"session", "show", session});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("study.moescope"), HasSubstr("small.routes.safetensors")));
  const auto info = nlohmann::json::parse(run_cli({"info", session, "--json"}).out);
  EXPECT_EQ(info["kind"], "session");
  EXPECT_EQ(info["sources"].size(), 1U);
  const Outcome exported = run_cli({"session", "export", session});
  EXPECT_EQ(exported.code, 0);
  EXPECT_TRUE(nlohmann::json::accept(exported.out));
  const Outcome checked = run_cli({"session", "check", session});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  EXPECT_EQ(checked.out, "nothing is wrong\n");
}

TEST(CliSession, AFileThatIsNoSessionIsBadInputAndAnExistingOneIsNotReplaced) {
  const TemporaryFolder folder;
  write_text(folder.file("a.moescope"), "hello, this is text and no session at all");
  for (const char* command : {"show", "export", "check"}) {
    EXPECT_EQ(run_cli({"session", command, folder.file("a.moescope")}).code, 2) << command;
    EXPECT_EQ(run_cli({"session", command, folder.file("absent.moescope")}).code, 2) << command;
  }
  EXPECT_NE(run_cli({"session", "new", folder.file("a.moescope")}).code, 0);
  EXPECT_EQ(read_text(folder.file("a.moescope")), "hello, this is text and no session at all");
}

TEST(CliSession, ABadSourceIsToldAndTheSessionStillHasTheGoodOnes) {
  const TemporaryFolder folder;
  write_small_trace(folder.file("small.routes.safetensors"));
  const Outcome made = run_cli(
      {"session", "new", folder.file("s.moescope"), folder.file("absent"), folder.file("small.routes.safetensors")});
  EXPECT_EQ(made.code, 5);
  EXPECT_THAT(made.err, HasSubstr("absent"));
  EXPECT_EQ(nlohmann::json::parse(run_cli({"info", folder.file("s.moescope"), "--json"}).out)["sources"].size(), 1U);
}

}  // namespace
}  // namespace moescope::test::session_test
