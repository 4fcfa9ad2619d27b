#include "views/tokens/token_colors.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moescope {
namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();
constexpr int grey_category = 1000;  // past every categorical set

// Code of a tag at a place, -1 = none.
std::int32_t tag_code(const Segment& segment, std::size_t token, const std::string& tag) {
  const auto found = segment.tags.find(tag);
  return found == segment.tags.end() || found->second.codes.empty() ? -1 : found->second.codes[token];
}

}  // namespace

std::optional<std::uint32_t> token_expert(const Trace& trace, std::uint64_t token, std::uint32_t row,
                                          std::uint32_t rank) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment || !place.segment->has_ids() || row >= place.segment->rows || rank == 0) return std::nullopt;
  if (rank > place.segment->filled(row, place.token)) return std::nullopt;
  return place.segment->id(row, place.token, rank - 1);
}

double token_weight(const Trace& trace, std::uint64_t token, std::uint32_t row, std::uint32_t rank) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment || place.segment->gate_weights.empty() || row >= place.segment->rows) return not_known;
  const Segment& s = *place.segment;
  if (rank == 0 || rank > s.filled(row, place.token)) return not_known;
  return s.gate_weights.at((row * s.tokens + place.token) * s.slots + rank - 1);
}

double token_loss(const Trace& trace, std::uint64_t token) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment) return not_known;
  const auto found = place.segment->token_values.find("loss");
  return found == place.segment->token_values.end() ? not_known : found->second.at(place.token);
}

std::string token_tag(const Trace& trace, std::uint64_t token, const std::string& tag) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment) return {};
  const std::int32_t code = tag_code(*place.segment, place.token, tag);
  if (code < 0) return {};
  const auto& names = place.segment->tags.at(tag).names;
  return static_cast<std::size_t>(code) < names.size() ? names[static_cast<std::size_t>(code)] : std::string();
}

std::string token_section(const Trace& trace, std::uint64_t token) {
  std::string domain = token_tag(trace, token, "domain");
  const Trace::Place place = trace.locate(token);
  if (!domain.empty() || !place.segment || place.segment->phases.empty()) return domain;
  const auto phases = place.segment->phases.values;
  if (phases.back() != 1) return {};  // nothing was generated after it
  return phases[place.token] == 1 ? "generated" : "prompt";
}

bool token_uses(const Trace& trace, std::uint64_t token, ExpertRef expert) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment || !place.segment->has_ids() || expert.row >= place.segment->rows) return false;
  const std::size_t filled = place.segment->filled(expert.row, place.token);
  for (std::size_t slot = 0; slot < filled; ++slot)
    if (place.segment->id(expert.row, place.token, slot) == expert.expert) return true;
  return false;
}

double token_margin(const Trace& trace, std::uint64_t token, std::uint32_t row) {
  const Trace::Place place = trace.locate(token);
  if (!place.segment || place.segment->router_logits.empty() || row >= place.segment->rows) return not_known;
  const Segment& s = *place.segment;
  const std::size_t chosen = s.filled(row, place.token);
  std::vector<float> logits(std::min<std::size_t>(s.logit_width, trace.rows()[row].experts));
  if (chosen == 0 || chosen >= logits.size()) return not_known;
  s.router_logits.read((row * s.tokens + place.token) * s.logit_width, logits);
  for (float& logit : logits)
    if (std::isnan(logit)) logit = -std::numeric_limits<float>::infinity();
  std::partial_sort(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(chosen) + 1, logits.end(),
                    std::greater<>());
  return logits[chosen - 1] - logits[chosen];
}

std::optional<Paint> token_paint(const Trace& trace, std::uint64_t token, const TokenColoring& coloring) {
  switch (coloring.by) {
    case TokenColoring::By::expert: {
      const auto expert = token_expert(trace, token, coloring.row, coloring.rank);
      if (!expert) return std::nullopt;
      return Paint::of_category(*expert < coloring.categories.size() ? coloring.categories[*expert] : grey_category);
    }
    case TokenColoring::By::weight: {
      const double weight = token_weight(trace, token, coloring.row, coloring.rank);
      if (!std::isfinite(weight)) return std::nullopt;
      return Paint::of_magnitude(std::clamp(weight, 0.0, 1.0));
    }
    case TokenColoring::By::loss: {
      const double loss = token_loss(trace, token);
      if (!std::isfinite(loss)) return std::nullopt;
      return Paint::of_magnitude(std::clamp(loss / coloring.loss_high, 0.0, 1.0));
    }
    case TokenColoring::By::domain: {
      const Trace::Place place = trace.locate(token);
      const std::int32_t code = place.segment ? tag_code(*place.segment, place.token, "domain") : -1;
      if (code < 0) return std::nullopt;
      return Paint::of_category(code);
    }
  }
  return std::nullopt;
}

}  // namespace moescope
