#include "core/analysis/scores.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/analysis/common.h"

namespace moescope {
namespace {

bool read_scores(const Segment& segment, const FloatColumn& column, std::size_t row, std::size_t token,
                 std::span<float> out) {
  if (column.empty() || out.size() > segment.logit_width) return false;
  column.read((row * segment.tokens + token) * segment.logit_width, out);
  return std::none_of(out.begin(), out.end(), [](float value) { return std::isnan(value); });
}

}  // namespace

bool read_logits(const Segment& segment, std::size_t row, std::size_t token, std::span<float> out) {
  return read_scores(segment, segment.router_logits, row, token, out);
}

bool read_selection(const Segment& segment, std::size_t row, std::size_t token, std::span<float> out) {
  return read_scores(segment, segment.selection_scores, row, token, out) || read_logits(segment, row, token, out);
}

double softmax_entropy(std::span<const float> logits) {
  // H = ln Z - sum p x with x = logit - max: no logarithm per expert.
  const float highest = *std::max_element(logits.begin(), logits.end());
  double z = 0, weighted = 0;
  for (const float logit : logits) {
    const double x = static_cast<double>(logit) - highest;
    if (!(x > -700)) continue;
    const double e = std::exp(x);
    z += e;
    weighted += e * x;
  }
  return std::max(0.0, std::log(z) - weighted / z);
}

double choice_margin(std::span<float> scores, std::size_t k) {
  if (k == 0 || k >= scores.size()) return no_value;
  const auto kth = scores.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(scores.begin(), kth, scores.end(), std::greater<>());
  const float next = *std::max_element(kth + 1, scores.end());
  return static_cast<double>(*kth) - static_cast<double>(next);
}

double token_margin(const Segment& segment, std::size_t row, std::size_t token, std::size_t k,
                    std::span<float> scratch) {
  if (read_selection(segment, row, token, scratch)) return choice_margin(scratch, k);
  const auto recorded = segment.row_values.find("margin");
  if (recorded == segment.row_values.end() || recorded->second.empty()) return no_value;
  return recorded->second.at(row * segment.tokens + token);
}

bool has_margins(const Trace& trace) {
  return std::any_of(trace.segments.begin(), trace.segments.end(), [](const auto& s) {
    return !s->router_logits.empty() || !s->selection_scores.empty() || s->row_values.contains("margin");
  });
}

}  // namespace moescope
