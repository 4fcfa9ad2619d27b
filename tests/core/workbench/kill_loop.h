// The kill loop: a child program runs commands of a workbench on one session and prints a reply after each returned;
// the parent kills it, opens the session and compares. Used on core's own child and, with another command line, on the
// desktop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace moescope {

struct KillOptions {
  // The program: reads script lines (core/workbench/script.h) on its standard input and writes replies to its standard
  // output; lines that do not begin with { are ignored.
  std::vector<std::string> program;
  std::filesystem::path folder;  // for the sessions
  int rounds = 30;
  double longest_wait_ms = 50;      // from a printed reply to the kill
  double transaction_delay_ms = 2;  // sleep inside each transaction
  unsigned seed = 1;
};

struct KillOutcome {
  int rounds = 0;
  int inside = 0;                 // kills between BEGIN and the end of COMMIT
  std::int64_t actions = 0;       // printed
  std::vector<std::string> lost;  // what was printed and is not in the file, and what the check found
};

[[nodiscard]] KillOutcome run_kill_loop(const KillOptions& options);

}  // namespace moescope
