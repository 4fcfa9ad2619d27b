// TraceBuilder: makes a Trace in memory, token by token. Called by tests, by readers of foreign formats and by whoever
// has routes in hand; engines with whole columns fill a Segment themselves. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/export.h"
#include "core/trace/trace.h"

namespace moescope {

// What is known of a token besides its routes. A column exists when any token of the segment has it; tokens without
// then hold all ones.
struct TokenFacts {
  std::optional<std::int32_t> id{}, sequence{}, position{}, step{}, rank{}, epoch{};
  std::optional<std::uint8_t> phase{}, stream{};
};

class MOESCOPE_API TraceBuilder {
 public:
  // `slots` is the largest number of experts that any token uses (at most 249).
  TraceBuilder(std::vector<RouterRow> rows, std::size_t slots);
  ~TraceBuilder();
  TraceBuilder(TraceBuilder&&) noexcept;
  TraceBuilder& operator=(TraceBuilder&&) noexcept;

  // Rows of a plain decoder: layers 0..layers-1, each with `experts` experts of which k are chosen.
  [[nodiscard]] static std::vector<RouterRow> plain_rows(std::size_t layers, std::uint32_t experts, std::uint32_t k);

  // What the trace says about itself; rows and tag names are kept by the builder.
  TraceInfo& info();
  void vocabulary(std::int32_t id, std::string bytes);

  // Begins a token. All that follows speaks of it, until the next. Its rows count as not recorded until routed.
  // `bytes`, if given, are appended to the text, with the token's span. Returns the token's index in the trace.
  std::size_t token(const TokenFacts& facts = {}, std::optional<std::string_view> bytes = std::nullopt);

  // Experts of the token at a row in rank order, and their weights (none, or one per expert). More ids than slots, or
  // ids of E or more, are defects of the caller and end the program.
  void route(std::size_t row, std::span<const std::uint32_t> ids, std::span<const float> weights = {});
  void route(std::size_t row, std::initializer_list<std::uint32_t> ids, std::initializer_list<float> weights = {}) {
    route(row, std::span(ids.begin(), ids.size()), std::span(weights.begin(), weights.size()));
  }
  // Says why the token has no experts at a row: one of used_code.
  void unrouted(std::size_t row, std::uint8_t code);
  // Router logits or selection scores at a row; fewer than the largest E are padded with NaN.
  void router_logits(std::size_t row, std::span<const float> values);
  void selection_scores(std::size_t row, std::span<const float> values);

  void tag(const std::string& name, const std::string& value);  // names get codes in order of appearance
  void tag_number(const std::string& name, float value);
  void token_value(const std::string& name, float value);
  void row_value(const std::string& name, std::size_t row, float value);
  void slot_values(const std::string& name, std::size_t row, std::span<const float> values);

  // Ends the segment; the next token begins another. Does nothing without tokens.
  void end_segment();
  // The trace so far, with its hash. The builder can go on afterwards.
  [[nodiscard]] Trace build(std::string name);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moescope
