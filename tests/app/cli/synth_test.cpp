#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model/checkpoint.h"
#include "tests/app/cli/program.h"

namespace moescope::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CliSynth, WritesACheckpointOfTheSizeAskedFor) {
  const TemporaryFolder folder;
  const std::string out = folder.file("model");
  const Outcome outcome = run_cli({"synth", "checkpoint", "--family", "olmoe", "--layers", "2", "--experts", "6", "--k",
                                   "3", "--hidden", "32", "--out", out});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, Not(HasSubstr("\r")));
  EXPECT_THAT(outcome.err, HasSubstr("parameters"));
  const auto opened = Checkpoint::open(out);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  EXPECT_EQ((*opened)->spec().layers.at(1).experts, 6U);
}

TEST(CliSynth, SizesThatMakeNoModelAreWrongUsage) {
  const TemporaryFolder folder;
  const Outcome outcome = run_cli({"synth", "checkpoint", "--experts", "2", "--k", "3", "--out", folder.file("model")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("3 experts per token, but only 2 experts"));
}

TEST(CliSynth, ATerminalSeesABarThatIsWipedAtTheEnd) {
  const TemporaryFolder folder;
  RunOptions options;
  options.terminal = true;
  const Outcome outcome = run_cli({"synth", "checkpoint", "--out", folder.file("model")}, options);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("\x1b[K[="));
  EXPECT_THAT(outcome.err, HasSubstr("Random checkpoint"));
}

TEST(CliSynth, CtrlCStopsItAndLeavesNoFile) {
  const TemporaryFolder folder;
  RunOptions options;
  options.interrupt = std::chrono::milliseconds(400);
  // Two thousand million parameters take much longer than that.
  const Outcome outcome = run_cli({"synth", "checkpoint", "--layers", "16", "--experts", "64", "--hidden", "1024",
                                   "--intermediate", "640", "--out", folder.file("model")},
                                  options);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_THAT(outcome.err, HasSubstr("stopped"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.file("model")));
}

}  // namespace
}  // namespace moescope::test
