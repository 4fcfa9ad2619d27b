#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/core/analysis/planted.h"

namespace moescope::planted {
namespace {

template <typename T>
Column<T> slice(const std::vector<T>& all, std::size_t begin, std::size_t end) {
  if (all.empty()) return {};
  return Column<T>::own(
      std::vector<T>(all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)));
}

std::shared_ptr<const Segment> make_segment(const Plan& plan, std::size_t begin, std::size_t end, std::size_t slots) {
  auto segment = std::make_shared<Segment>();
  Segment& s = *segment;
  s.rows = plan.routes.size();
  s.tokens = end - begin;
  s.slots = slots;
  std::vector<std::uint16_t> ids(s.rows * s.tokens * slots, 0xFFFF);
  std::vector<std::uint8_t> used(s.rows * s.tokens);
  std::vector<float> weights(plan.weights.empty() ? 0 : ids.size(), std::numeric_limits<float>::quiet_NaN());
  for (std::size_t r = 0; r < s.rows; ++r) {
    for (std::size_t t = 0; t < s.tokens; ++t) {
      const auto& route = plan.routes[r][begin + t];
      const std::size_t place = r * s.tokens + t;
      for (std::size_t i = 0; i < route.size(); ++i) ids[place * slots + i] = static_cast<std::uint16_t>(route[i]);
      used[place] = plan.used.empty() ? static_cast<std::uint8_t>(route.size()) : plan.used[r][begin + t];
      if (!plan.weights.empty()) {
        const auto& row = plan.weights[r][begin + t];
        std::copy(row.begin(), row.end(), weights.begin() + static_cast<std::ptrdiff_t>(place * slots));
      }
    }
  }
  if (plan.wide) {
    s.ids16 = Column<std::uint16_t>::own(std::move(ids));
  } else {
    s.ids8 = Column<std::uint8_t>::own(std::vector<std::uint8_t>(ids.begin(), ids.end()));
  }
  if (plan.write_used) s.used = Column<std::uint8_t>::own(std::move(used));
  if (!weights.empty()) s.gate_weights = FloatColumn::own(std::move(weights));
  if (!plan.logits.empty()) {
    s.logit_width = *std::max_element(plan.experts.begin(), plan.experts.end());
    std::vector<float> logits(s.rows * s.tokens * s.logit_width, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t r = 0; r < s.rows; ++r) {
      for (std::size_t t = 0; t < s.tokens; ++t) {
        const auto& row = plan.logits[r][begin + t];
        std::copy(row.begin(), row.end(),
                  logits.begin() + static_cast<std::ptrdiff_t>((r * s.tokens + t) * s.logit_width));
      }
    }
    s.router_logits = FloatColumn::own(std::move(logits));
  }
  s.sequence_ids = slice(plan.sequences, begin, end);
  s.token_ids = slice(plan.token_ids, begin, end);
  s.positions = slice(plan.positions, begin, end);
  for (const auto& [name, codes] : plan.tags) {
    s.tags[name].codes = slice(codes, begin, end);
    const auto names = plan.tag_names.find(name);
    if (names != plan.tag_names.end()) s.tags[name].names = names->second;
  }
  if (!plan.losses.empty()) {
    s.token_values["loss"] =
        FloatColumn::own(std::vector<float>(plan.losses.begin() + static_cast<std::ptrdiff_t>(begin),
                                            plan.losses.begin() + static_cast<std::ptrdiff_t>(end)));
  }
  return segment;
}

}  // namespace

Trace make_trace(const Plan& plan) {
  Trace trace;
  trace.name = "planted.routes.safetensors";
  trace.content_hash = "planted";
  auto info = std::make_shared<TraceInfo>();
  std::size_t slots = 1;
  for (std::size_t r = 0; r < plan.routes.size(); ++r) {
    RouterRow row;
    row.layer = static_cast<int>(r);
    row.experts = plan.experts[r];
    for (const auto& route : plan.routes[r]) {
      slots = std::max(slots, route.size());
      row.k = std::max(row.k, static_cast<std::uint32_t>(route.size()));
    }
    info->rows.push_back(row);
  }
  info->compute_type = "float32";
  info->tag_names = plan.tag_names;
  trace.info = info;
  const std::size_t tokens = plan.routes.front().size();
  for (std::size_t i = 0; i < plan.segments; ++i) {
    const std::size_t begin = tokens * i / plan.segments;
    const std::size_t end = tokens * (i + 1) / plan.segments;
    trace.segments.push_back(make_segment(plan, begin, end, slots));
  }
  return trace;
}

Plan uniform_plan(std::size_t rows, std::uint32_t experts, std::uint32_t k, std::size_t tokens, std::uint64_t seed) {
  Plan plan;
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> order(experts);
  std::iota(order.begin(), order.end(), 0U);
  plan.experts.assign(rows, experts);
  plan.routes.resize(rows);
  for (auto& row : plan.routes) {
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::uint32_t i = 0; i < k; ++i) std::swap(order[i], order[i + random() % (experts - i)]);
      row.emplace_back(order.begin(), order.begin() + k);
    }
  }
  return plan;
}

std::vector<std::int32_t> sequences_of(std::size_t tokens, std::size_t length) {
  std::vector<std::int32_t> sequences(tokens);
  for (std::size_t t = 0; t < tokens; ++t) sequences[t] = static_cast<std::int32_t>(t / length);
  return sequences;
}

AppliedFilter no_filter() {
  return {};
}

Result run(const std::string& analysis, const Trace& trace, const nlohmann::json& params, const AppliedFilter& filter) {
  auto result = run_analysis(analysis, trace, filter, params);
  if (!result) {
    ADD_FAILURE() << result.error().text();
    throw std::runtime_error(result.error().text());
  }
  return *result;
}

}  // namespace moescope::planted
