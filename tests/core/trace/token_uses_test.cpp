// uses(row, expert): found in columns of every kind, and in filters.
#include "core/trace/token_uses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/trace/selection.h"
#include "core/trace/synth_trace.h"
#include "core/trace/trace_builder.h"
#include "tests/core/trace/random_trace.h"

namespace moescope::token_uses_test {
namespace {

using ::testing::HasSubstr;

bool uses(const Trace& trace, std::size_t token, std::uint32_t row, std::uint32_t expert) {
  const auto place = trace.locate(token);
  for (std::size_t s = 0; s < place.segment->filled(row, place.token); ++s) {
    if (place.segment->id(row, place.token, s) == expert) return true;
  }
  return false;
}

void expect_found(const Trace& trace) {
  for (std::uint32_t row = 0; row < trace.rows().size(); ++row) {
    for (std::uint32_t expert = 0; expert < std::min(trace.rows()[row].experts, 20U); ++expert) {
      const auto bits = tokens_using(trace, row, expert);
      for (std::size_t t = 0; t < trace.token_count(); ++t) {
        ASSERT_EQ((bits[t / 64] >> (t % 64) & 1U) != 0, uses(trace, t, row, expert)) << t << " " << expert;
      }
    }
  }
}

TEST(TokenUses, AreThoseOfThePlainLoop) {
  for (const std::uint64_t seed : {1, 2, 3}) expect_found(fixtures::random_trace(seed));
  for (const bool ragged : {true, false}) {
    for (const std::uint32_t experts : {16U, 256U, 300U}) {
      fixtures::RandomTraceOptions options;
      options.experts = experts;
      options.slots = 8;
      options.ragged = ragged;
      options.segments = 3;
      expect_found(fixtures::random_trace(7, options));
    }
  }
  SynthTraceOptions shape;
  shape.layers = 2;
  shape.experts = 64;
  shape.tokens = 3000;
  const auto trace = synth_trace(shape);
  ASSERT_TRUE(trace);
  expect_found(*trace);
}

TEST(TokenUses, AnEmptySlotIsNoExpert) {
  TraceBuilder builder(TraceBuilder::plain_rows(1, 255, 2), 2);
  builder.token();
  builder.route(0, {254});
  builder.token();
  const Trace trace = builder.build("x");
  EXPECT_EQ(tokens_using(trace, 0, 254), std::vector<std::uint64_t>{1});
  EXPECT_EQ(tokens_using(trace, 0, 255), std::vector<std::uint64_t>{0});
  EXPECT_EQ(tokens_using(trace, 1, 0), std::vector<std::uint64_t>{0});
}

TEST(TokenUses, StandInFilters) {
  SynthTraceOptions shape;
  shape.layers = 3;
  shape.experts = 40;
  shape.k = 4;
  shape.tokens = 2000;
  const auto trace = synth_trace(shape);
  ASSERT_TRUE(trace);
  const auto both = apply_filter(*trace, "uses(1, 7) && !uses(2, {3, 9}) || loss > 4");
  ASSERT_TRUE(both);
  for (std::size_t t = 0; t < 2000; ++t) {
    const bool wanted = (uses(*trace, t, 1, 7) && !uses(*trace, t, 2, 3) && !uses(*trace, t, 2, 9)) ||
                        trace->segments[0]->token_values.at("loss").at(t) > 4;
    ASSERT_EQ(both->mask.test(t), wanted) << t;
  }
}

TEST(TokenUses, ErrorsSayWhatIsThere) {
  const Trace trace = fixtures::random_trace(1);
  const struct {
    const char* text;
    const char* where;
    const char* what;
  } cases[] = {{"uses(9, 1)", "column 1", "no router row 9"},
               {"loss > 1 && uses(0, 99)", "column 13", "has no expert 99"},
               {"uses(0)", "column 7", "expected , and an expert"},
               {"uses(0, x)", "column 9", "expected the number of an expert"},
               {"uses(-1, 2)", "column 6", "expected the number of a router row"},
               {"uses(0, {1, 2)", "column 14", "expected , or }"},
               {"uses(0, 1", "column 10", "expected )"}};
  for (const auto& c : cases) {
    const auto applied = apply_filter(trace, c.text);
    ASSERT_FALSE(applied) << c.text;
    EXPECT_THAT(applied.error().where, HasSubstr(c.where)) << c.text;
    EXPECT_THAT(applied.error().what, HasSubstr(c.what)) << c.text;
  }
}

}  // namespace
}  // namespace moescope::token_uses_test
