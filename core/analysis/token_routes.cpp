// Token routes: for a stretch of tokens, the expert of one rank at every row, with its weight and margin.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/scores.h"

namespace moescope {
namespace {

std::string routes_unavailable(const Trace& trace) {
  return trace.has_ids() ? "" : "did not record expert ids";
}

Expected<Result> run_routes(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  const std::size_t total = trace.token_count();
  const auto first = input.params.at("first").get<std::size_t>();
  const auto rank = input.params.at("rank").get<std::size_t>() - 1;
  if (first >= total) {
    return fail(ErrorKind::usage, fmt::format("the trace has {} tokens, so there is no token {}", total, first),
                "parameter first", fmt::format("Give a token from 0 to {}", total == 0 ? 0 : total - 1));
  }
  if (rank >= trace.max_slots()) {
    return fail(ErrorKind::usage,
                fmt::format("the trace has {} experts per token, so there is no rank {}", trace.max_slots(), rank + 1),
                "parameter rank", fmt::format("Give a rank from 1 to {}", trace.max_slots()));
  }
  const std::size_t count = std::min(input.params.at("count").get<std::size_t>(), total - first);

  Matrix expert{"expert", fmt::format("Expert of rank {}", rank + 1), "expert", "layer", "token"};
  Matrix weight{"weight", fmt::format("Gate weight of rank {}", rank + 1), "weight", "layer", "token"};
  Matrix margin{"margin", "Router margin", "score", "layer", "token"};
  margin.formula = "score of the last expert chosen minus the best not chosen";
  Series loss{"loss", "Loss of each token", "token", "loss", "nats", "-ln P(token | tokens before it)"};
  for (Matrix* matrix : {&expert, &weight, &margin}) {
    matrix->row_names = row_names(rows);
    matrix->values.assign(rows.size() * count, no_value);
    matrix->absence.assign(rows.size() * count, Absence::not_recorded);
  }
  std::uint64_t bad = 0;
  std::vector<float> scratch(most_experts(rows));
  for (std::size_t t = 0; t < count; ++t) {
    if (input.work.cancelled()) return fail(ErrorKind::cancelled, "stopped", "Token routes");
    const Trace::Place place = trace.locate(first + t);
    const Segment& segment = *place.segment;
    const bool in_filter = input.filter.mask.test(first + t);
    const std::string text = valid_utf8(trace.token_text(first + t));
    for (Matrix* matrix : {&expert, &weight, &margin}) {
      matrix->column_names.push_back(text.empty() ? fmt::format("{}", first + t) : text);
    }
    const auto losses = segment.token_values.find("loss");
    loss.x.push_back(static_cast<double>(first + t));
    loss.x_names.push_back(expert.column_names.back());
    loss.y.push_back(losses != segment.token_values.end() && in_filter ? losses->second.at(place.token) : no_value);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const std::size_t cell = r * count + t;
      const auto set = [&](Matrix& matrix, double value) {
        if (!std::isfinite(value)) return;
        matrix.values[cell] = value;
        matrix.absence[cell] = Absence::present;
      };
      if (!in_filter || !keeps_row(input.filter, static_cast<std::uint32_t>(r))) {
        for (Matrix* matrix : {&expert, &weight, &margin}) matrix->absence[cell] = Absence::filtered_out;
        continue;
      }
      const std::size_t filled = segment.has_ids() ? std::min(segment.filled(r, place.token), segment.slots) : 0;
      if (filled == 0) continue;
      set(margin, token_margin(segment, r, place.token, filled, std::span<float>(scratch).first(rows[r].experts)));
      if (rank >= filled) continue;
      const std::uint32_t id = segment.id(r, place.token, rank);
      bad += id >= rows[r].experts ? 1U : 0U;
      if (id >= rows[r].experts) continue;
      set(expert, id);
      if (!segment.gate_weights.empty()) {
        set(weight, segment.gate_weights.at((r * segment.tokens + place.token) * segment.slots + rank));
      }
    }
  }
  Result result;
  result.title = fmt::format("Routes of tokens {} to {}", first, first + count - 1);
  result.matrices = {std::move(expert), std::move(weight), std::move(margin)};
  result.series = {std::move(loss)};
  if (!trace.has_gate_weights()) result.caveats.push_back("The trace has no gate weights.");
  if (!has_margins(trace)) result.caveats.push_back("The trace has neither router logits nor recorded margins.");
  if (!trace.has_token_value("loss")) result.caveats.push_back("The trace has no loss per token.");
  if (!trace.info->rank_order) result.caveats.push_back("Ranks are slots: the trace does not keep the order of ranks.");
  note_bad_ids(result, bad);
  return result;
}

}  // namespace

AnalysisSpec token_routes_analysis() {
  const auto whole = [](const char* name, const char* help, int value, double low, double high) {
    return ParameterSpec{name, "int", help, value, {}, low, high};
  };
  return AnalysisSpec{
      "token_routes",
      "Token routes",
      "The expert of one rank at every row for a stretch of tokens.",
      1,
      {whole("first", "First token of the trace.", 0, 0, 9e15), whole("count", "How many tokens.", 256, 1, 65536),
       whole("rank", "Rank of the expert, 1 = the strongest.", 1, 1, 249)},
      routes_unavailable,
      run_routes};
}

}  // namespace moescope
