// A small trace for tests of the command line: 6 sequences of 10 tokens, 2 routers of 4 experts, 2 chosen, gate weights
// and a domain tag; prose uses experts 0 and 1 of the first router, code 2 and 3.
#pragma once

#include <filesystem>

namespace moescope::test {

void write_small_trace(const std::filesystem::path& file);

}  // namespace moescope::test
