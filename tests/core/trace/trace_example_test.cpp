// Runs the Python lines of resources/help, where python3 with numpy is present: traces travel both ways.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/io/output_file.h"
#include "core/trace/selection.h"
#include "core/trace/trace_file.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/core/trace/random_trace.h"

namespace moescope::trace_example_test {
namespace {

using ::testing::HasSubstr;

class TraceExample : public ::testing::Test {
 protected:
  void SetUp() override {
    // A python3 on the path may lack numpy where the system's has it.
    for (const char* python : {"python3", "/usr/bin/python3"}) {
      if (std::system((std::string(python) + " -c 'import numpy' >/dev/null 2>&1").c_str()) != 0) continue;
      python_ = python;
      return;
    }
    GTEST_SKIP() << "python3 with numpy is not installed";
  }

  // Output of the example with arguments; fails when it fails.
  std::string run(const std::string& arguments) const {
    const std::string command =
        python_ + " " MOESCOPE_SOURCE_DIR "/resources/help/trace_example.py " + arguments + " 2>&1";
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    std::string out;
    std::array<char, 4096> block{};
    while (const std::size_t n = std::fread(block.data(), 1, block.size(), pipe)) out.append(block.data(), n);
    EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << out;
    return out;
  }

  fixtures::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "t.routes.safetensors";
  std::string python_;
};

TEST_F(TraceExample, WhatPythonWritesIsATrace) {
  run("write " + path_.string());
  const auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_TRUE(trace->info->notes.empty());
  EXPECT_TRUE(trace->info->unknown_tensors.empty());
  EXPECT_EQ(trace->rows().size(), 2U);
  EXPECT_EQ(trace->token_count(), 5U);
  EXPECT_EQ(trace->max_slots(), 2U);
  EXPECT_EQ(trace->token_text(4), " return");
  EXPECT_TRUE(check_ids(*trace));
  const Segment& segment = *trace->segments[0];
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::size_t t = 0; t < 5; ++t) {
      // The two chosen experts have the two largest logits, and their weights sum to 1.
      const float* const logits = reinterpret_cast<const float*>(segment.router_logits.bytes.data()) + (r * 5 + t) * 4;
      for (std::size_t e = 0; e < 4; ++e) {
        EXPECT_TRUE(e == segment.id(r, t, 0) || e == segment.id(r, t, 1) || logits[e] <= logits[segment.id(r, t, 1)]);
      }
      EXPECT_NEAR(segment.gate_weights.at((r * 5 + t) * 2) + segment.gate_weights.at((r * 5 + t) * 2 + 1), 1.0, 1e-6);
    }
  }
  EXPECT_EQ(apply_filter(*trace, "domain == \"code\" && loss < 1.6")->mask.selected, 3U);
}

TEST_F(TraceExample, WhatWeWritePythonReads) {
  const Trace trace = fixtures::random_trace(21, {.rows = 2, .experts = 5, .slots = 2});
  ASSERT_TRUE(write_trace(trace, path_));
  std::string expected;
  for (std::size_t r = 0; r < 2; ++r) {
    std::array<int, 5> counts{};
    for (const auto& segment : trace.segments) {
      for (std::size_t t = 0; t < segment->tokens; ++t) {
        for (std::size_t s = 0; s < segment->filled(r, t); ++s) ++counts[segment->id(r, t, s)];
      }
    }
    expected += "layer " + std::to_string(2 * r) + " tokens per expert:";
    for (const int n : counts) expected += " " + std::to_string(n);
    expected += "\n";
  }
  EXPECT_EQ(run("read " + path_.string()), expected);
}

TEST(Help, NamesEveryPartOfTheFormatAndEveryTerm) {
  const std::string format = read_whole_file(MOESCOPE_SOURCE_DIR "/resources/help/trace-file.md", 1U << 20U).value();
  for (const char* name :
       {"expert_ids", "used", "gate_weights", "router_logits", "selection_scores", "expert_counts",
        "physical_to_logical", "output_logits", "token_ids", "text_spans", "vocab.offsets", "requires"}) {
    EXPECT_THAT(format, HasSubstr(name));
  }
  const std::string filters = read_whole_file(MOESCOPE_SOURCE_DIR "/resources/help/filter.md", 1U << 20U).value();
  for (const FilterTerm& term : filter_terms(fixtures::random_trace(22))) {
    if (term.kind == "tag" || term.name == "noise") continue;
    EXPECT_THAT(filters, HasSubstr("`" + term.name + "`"));
  }
}

}  // namespace
}  // namespace moescope::trace_example_test
