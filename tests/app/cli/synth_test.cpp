#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model/checkpoint.h"
#include "tests/app/cli/program.h"

namespace moescope::test::synth_test {
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

TEST(CliSynth, ATraceIsMadeMeasuredAndComparedWithAnother) {
  const TemporaryFolder folder;
  const std::string one = folder.file("one.routes.safetensors"), two = folder.file("two.routes.safetensors");
  const auto make = [](const std::string& out, const char* zipf) {
    return run_cli({"synth", "trace", "--layers", "3", "--experts", "16", "--k", "2", "--tokens", "3000", "--zipf",
                    zipf, "--out", out});
  };
  const Outcome made = make(one, "0.5");
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("3,000 tokens, 3 layers of 16 experts"));
  ASSERT_EQ(make(two, "1.5").code, 0);
  const Outcome bench = run_cli({"bench", one, "--repeats", "1", "--json"});
  ASSERT_EQ(bench.code, 0) << bench.err;
  EXPECT_THAT(bench.out, HasSubstr("\"portable\""));
  const Outcome same = run_cli({"compare", one, one});
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("3000 of 3000 and 3000 tokens are aligned"));
  EXPECT_THAT(same.out, HasSubstr("1.000"));
  EXPECT_THAT(same.out, Not(HasSubstr("Who moved")));
  const Outcome other = run_cli({"compare", one, two, "--out", folder.file("c.json")});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_THAT(read_text(folder.file("c.json")), HasSubstr("rank_agreement"));
  EXPECT_EQ(run_cli({"compare", one, two, "--row", "77"}).code, 1);
  EXPECT_EQ(run_cli({"synth", "trace", "--k", "99", "--out", folder.file("x")}).code, 1);
}

}  // namespace
}  // namespace moescope::test::synth_test
