// What a token is coloured by, read from the trace for the tokens on screen. Main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/figure/figure.h"
#include "core/trace/trace.h"

namespace moescope {

struct TokenColoring {
  enum class By : std::uint8_t { expert, weight, loss, domain };
  By by = By::expert;
  std::uint32_t row = 0, rank = 1;
  std::vector<int> categories;  // by expert: [expert] -> colour; past the categories = grey
  double loss_high = 8;         // nats at the top of the map
};

// Expert of a token at a row and rank (from 1); nullopt when it was not recorded.
[[nodiscard]] std::optional<std::uint32_t> token_expert(const Trace& trace, std::uint64_t token, std::uint32_t row,
                                                        std::uint32_t rank);
// Gate weight there; NaN when not recorded.
[[nodiscard]] double token_weight(const Trace& trace, std::uint64_t token, std::uint32_t row, std::uint32_t rank);
[[nodiscard]] double token_loss(const Trace& trace, std::uint64_t token);
// Name of the token's value of a tag; empty when it has none.
[[nodiscard]] std::string token_tag(const Trace& trace, std::uint64_t token, const std::string& tag);
// The part of the text that a token belongs to: its domain; without domains "prompt" or "generated" in a trace of a
// generation; else empty.
[[nodiscard]] std::string token_section(const Trace& trace, std::uint64_t token);
// True when one of the token's experts at the row is this one.
[[nodiscard]] bool token_uses(const Trace& trace, std::uint64_t token, ExpertRef expert);
// Distance between the last chosen and the first not chosen router logit; NaN without logits.
[[nodiscard]] double token_margin(const Trace& trace, std::uint64_t token, std::uint32_t row);

// The colour of a token; nullopt = nothing is known, drawn without one.
[[nodiscard]] std::optional<Paint> token_paint(const Trace& trace, std::uint64_t token, const TokenColoring& coloring);

}  // namespace moescope
