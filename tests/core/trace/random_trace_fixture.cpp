#include <algorithm>
#include <numeric>
#include <random>

#include "core/trace/trace_builder.h"
#include "tests/core/trace/random_trace.h"

namespace moescope::fixtures {

Trace random_trace(std::uint64_t seed, const RandomTraceOptions& options) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto number = [&] { return static_cast<float>(below(2001)) / 1000.0F - 1.0F; };
  auto rows = TraceBuilder::plain_rows(options.rows, options.experts, static_cast<std::uint32_t>(options.slots));
  for (RouterRow& row : rows) row.layer *= 2;  // every other layer is dense
  TraceBuilder builder(std::move(rows), options.slots);
  builder.info().model_name = "random";
  builder.info().stream_names = {"text", "image"};
  std::vector<std::uint32_t> experts(options.experts);
  std::iota(experts.begin(), experts.end(), 0U);
  const char* const words[] = {"for", " (int", "été", "\n", " return", "x", " 12", "{"};
  const char* const domains[] = {"code", "prose", "math"};
  std::int32_t position = 0;
  std::int32_t sequence = 0;
  for (std::size_t segment = 0; segment < options.segments; ++segment) {
    for (std::size_t t = 0; t < options.tokens_per_segment; ++t) {
      if (below(10) == 0) {
        ++sequence;
        position = 0;
      }
      const std::size_t word = below(8);
      builder.token({.id = static_cast<std::int32_t>(word),
                     .sequence = sequence,
                     .position = position++,
                     .step = static_cast<std::int32_t>(t),
                     .phase = static_cast<std::uint8_t>(below(2)),
                     .stream = static_cast<std::uint8_t>(below(2))},
                    words[word]);
      builder.vocabulary(static_cast<std::int32_t>(word), words[word]);
      if (const std::size_t domain = below(4); domain < 3) builder.tag("domain", domains[domain]);
      if (below(3) != 0) builder.tag_number("noise", number());
      builder.token_value("loss", std::abs(number()) * 5);
      for (std::size_t r = 0; r < options.rows; ++r) {
        const std::size_t kind = options.ragged ? below(8) : 7;
        if (kind == 0) {
          builder.unrouted(r, static_cast<std::uint8_t>(used_code::dropped + below(5)));
          continue;
        }
        const std::size_t k = kind < 3 ? below(options.slots + 1) : options.slots;
        std::shuffle(experts.begin(), experts.end(), random);
        std::vector<float> weights(k);
        for (float& w : weights) w = number();
        builder.route(r, std::span(experts).first(k), weights);
        std::vector<float> logits(options.experts);
        for (float& z : logits) z = number();
        builder.router_logits(r, logits);
        builder.row_value("margin", r, number());
        builder.slot_values("output_norm", r, weights);
      }
    }
    builder.end_segment();
  }
  return builder.build("random");
}

}  // namespace moescope::fixtures
