// A small trace for tests of the command line: 6 sequences of 10 tokens, 2 routers of 4 experts, 2 chosen, gate weights
// and a domain tag; prose uses experts 0 and 1 of the first router, code 2 and 3.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/app/cli/program.h"

namespace moescope::test {

void write_small_trace(const std::filesystem::path& file);

// A test with such a trace in a folder of its own.
class SmallTraceTest : public testing::Test {
 protected:
  void SetUp() override {
    trace_ = folder_.file("small.routes.safetensors");
    write_small_trace(trace_);
  }
  TemporaryFolder folder_;
  std::string trace_;
};

}  // namespace moescope::test
