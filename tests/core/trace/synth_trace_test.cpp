#include "core/trace/synth_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "core/trace/trace_file.h"

namespace moescope::synth_trace_test {
namespace {

SynthTraceOptions small() {
  SynthTraceOptions options;
  options.layers = 3;
  options.experts = 32;
  options.k = 4;
  options.tokens = 5000;
  options.sequence_length = 100;
  return options;
}

TEST(SynthTrace, EveryTokenHasKDifferentExperts) {
  for (const std::uint32_t experts : {4U, 32U, 300U}) {
    SynthTraceOptions options = small();
    options.experts = experts;
    const auto trace = synth_trace(options);
    ASSERT_TRUE(trace);
    EXPECT_TRUE(check_ids(*trace));
    const Segment& segment = *trace->segments[0];
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t t = 0; t < 5000; ++t) {
        std::set<std::uint32_t> ids;
        for (std::size_t s = 0; s < segment.filled(r, t); ++s) ids.insert(segment.id(r, t, s));
        ASSERT_EQ(ids.size(), 4U);
      }
    }
  }
}

TEST(SynthTrace, PartsAreThoseOfTheWholeAndOtherSeedsDiffer) {
  const auto whole = synth_segment(small(), 0, 5000);
  const auto part = synth_segment(small(), 1234, 2000);
  ASSERT_TRUE(whole && part);
  for (std::size_t t = 0; t < 766; ++t) {
    EXPECT_EQ((*part)->token_ids[t], (*whole)->token_ids[1234 + t]);
    for (std::size_t s = 0; s < 4; ++s) EXPECT_EQ((*part)->id(2, t, s), (*whole)->id(2, 1234 + t, s));
  }
  SynthTraceOptions other = small();
  other.seed = 2;
  const auto another = synth_segment(other, 0, 5000);
  ASSERT_TRUE(another);
  EXPECT_FALSE(
      std::equal((*another)->ids8.values.begin(), (*another)->ids8.values.end(), (*whole)->ids8.values.begin()));
}

TEST(SynthTrace, TheStructureAskedForIsThere) {
  // Only successors: every expert of a row follows from the one of the row before, at the same rank.
  SynthTraceOptions options = small();
  options.k = 1;
  options.markov = 1;
  options.by_token = options.by_domain = 0;
  const auto trace = synth_trace(options);
  ASSERT_TRUE(trace);
  std::map<std::uint32_t, std::set<std::uint32_t>> next;
  for (std::size_t t = 0; t < 5000; ++t) {
    next[trace->segments[0]->id(0, t, 0)].insert(trace->segments[0]->id(1, t, 0));
  }
  for (const auto& [expert, followers] : next) EXPECT_EQ(followers.size(), 1U) << expert;
  // Only popularity: the most popular expert leads the least popular one as the power says.
  options.markov = 0;
  options.zipf = 1;
  options.tokens = 50'000;
  const auto popular = synth_trace(options);
  ASSERT_TRUE(popular);
  std::vector<double> uses(32);
  for (std::size_t t = 0; t < 50'000; ++t) uses[popular->segments[0]->id(0, t, 0)] += 1;
  std::sort(uses.rbegin(), uses.rend());
  EXPECT_NEAR(uses[0] / uses[1], 2, 0.15);
}

TEST(SynthTrace, TheFileIsTheTraceInMemory) {
  const auto path = std::filesystem::temp_directory_path() / "moescope-synth-trace-test.routes.safetensors";
  SynthTraceOptions options = small();
  options.tokens = 20'000;
  ASSERT_TRUE(write_synth_trace(options, path));
  const auto read = read_trace(path);
  const auto made = synth_trace(options);
  ASSERT_TRUE(read && made);
  EXPECT_EQ(read->token_count(), 20'000U);
  const Segment& a = *read->segments[0];
  const Segment& b = *made->segments[0];
  EXPECT_TRUE(std::equal(a.ids8.values.begin(), a.ids8.values.end(), b.ids8.values.begin(), b.ids8.values.end()));
  EXPECT_TRUE(std::equal(a.token_ids.values.begin(), a.token_ids.values.end(), b.token_ids.values.begin()));
  EXPECT_EQ(a.tags.at("domain").codes[19'999], b.tags.at("domain").codes[19'999]);
  EXPECT_EQ(a.token_values.at("loss").at(777), b.token_values.at("loss").at(777));
  std::filesystem::remove(path);
}

TEST(SynthTrace, SizesThatMakeNoTraceAreRefused) {
  SynthTraceOptions options = small();
  options.k = 40;
  EXPECT_FALSE(synth_trace(options));
  options = small();
  options.tokens = 0;
  EXPECT_FALSE(synth_trace(options));
  options = small();
  options.markov = 0.9;
  EXPECT_FALSE(synth_trace(options));
}

}  // namespace
}  // namespace moescope::synth_trace_test
