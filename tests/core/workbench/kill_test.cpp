// Killing the process at any moment loses no finished action. MOESCOPE_KILL_ROUNDS sets the number of kills;
// MOESCOPE_KILL_PROGRAM another child ("moescope-cli script -"), parted by blanks.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <sstream>

#include "core/base/clock.h"
#include "core/workbench/script.h"
#include "core/workbench/workbench.h"
#include "tests/core/workbench/kill_loop.h"

namespace moescope::kill_test {
namespace {

// The child of the test below: this program again, told to run this one "test".
TEST(KillChild, DISABLED_RunsAScript) {
  Workbench workbench(WorkbenchOptions{});
  run_script(workbench, std::cin, std::cout);
}

TEST(KillTest, NothingFinishedIsLost) {
  KillOptions options;
  options.program = {std::filesystem::read_symlink("/proc/self/exe").string(),
                     "--gtest_filter=KillChild.DISABLED_RunsAScript", "--gtest_also_run_disabled_tests"};
  options.folder = std::filesystem::temp_directory_path() / ("moescope-kill-" + std::to_string(process_id()));
  std::filesystem::create_directories(options.folder);
  if (const char* program = std::getenv("MOESCOPE_KILL_PROGRAM")) {
    std::istringstream words(program);
    options.program.assign(std::istream_iterator<std::string>(words), {});
  }
  if (const char* rounds = std::getenv("MOESCOPE_KILL_ROUNDS")) options.rounds = std::atoi(rounds);
  const KillOutcome outcome = run_kill_loop(options);
  std::filesystem::remove_all(options.folder);
  std::cout << outcome.rounds << " kills, " << outcome.inside << " inside a transaction, " << outcome.actions
            << " actions printed, " << outcome.lost.size() << " lost\n";
  EXPECT_EQ(outcome.rounds, options.rounds);
  EXPECT_GE(outcome.inside * 2, outcome.rounds) << "too few kills hit a transaction to prove anything";
  for (const std::string& lost : outcome.lost) ADD_FAILURE() << lost;
}

}  // namespace
}  // namespace moescope::kill_test
