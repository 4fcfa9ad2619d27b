#include "tests/app/cli/small_trace.h"

#include <gtest/gtest.h>

#include "core/trace/trace_builder.h"
#include "core/trace/trace_file.h"

namespace moescope::test {

void write_small_trace(const std::filesystem::path& file) {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  for (std::int32_t sequence = 0; sequence < 6; ++sequence) {
    for (std::int32_t position = 0; position < 10; ++position) {
      TokenFacts facts;
      facts.id = position;
      facts.sequence = sequence;
      facts.position = position;
      builder.token(facts, "w ");
      const bool code = sequence % 2 == 1;
      builder.tag("domain", code ? "code" : "prose");
      builder.route(0, code ? std::initializer_list<std::uint32_t>{2, 3} : std::initializer_list<std::uint32_t>{0, 1},
                    {0.6F, 0.4F});
      const auto i = static_cast<std::uint32_t>(position % 4);
      builder.route(1, {i, (i + 1) % 4}, {0.7F, 0.3F});
    }
  }
  const auto written = write_trace(builder.build("small"), file);
  ASSERT_TRUE(written.has_value()) << written.error().text();
}

}  // namespace moescope::test
