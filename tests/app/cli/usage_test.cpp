#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/version.h"
#include "tests/app/cli/program.h"

namespace moescope::test::usage_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Cli, VersionAndHelpGoToStandardOutput) {
  const Outcome version = run_cli({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, AllOf(HasSubstr(version_text), HasSubstr(build_id_text)));
  const Outcome help = run_cli({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* name : {"synth", "tokenize", "detokenize", "Exit codes"}) EXPECT_THAT(help.out, HasSubstr(name));
  EXPECT_THAT(run_cli({"synth", "checkpoint", "--help"}).out, HasSubstr("--experts"));
}

TEST(Cli, WrongUsageIsExitCodeOneWithOneMessage) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"paint"}, {"synth"}, {"synth", "checkpoint"}, {"tokenize", "x", "--colour"}}) {
    const Outcome outcome = run_cli(words);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("moescope-cli: "), HasSubstr("--help")));
  }
}

}  // namespace
}  // namespace moescope::test::usage_test
