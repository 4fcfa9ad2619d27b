#include "core/analysis/tag_units.h"

#include <algorithm>

#include "core/analysis/routes.h"

namespace moescope {
namespace {

constexpr std::size_t max_units = 2048;  // sequences of one tag value are merged beyond it
constexpr std::uint32_t no_group = 0xFFFF'FFFFU;

}  // namespace

TagUnits tag_units(const AnalysisInput& input, kernels::TokenGroups codes, std::size_t values) {
  TagUnits units;
  const auto tagged_token = [&](std::size_t t) { return codes.of_token[t] < values && input.filter.mask.test(t); };
  const SequenceIndex sequences = sequence_index(input.trace);
  std::vector<std::int32_t> tag_of(sequences.count, -1);
  bool one_each = sequences.recorded;
  for (std::size_t t = 0; t < codes.of_token.size() && one_each; ++t) {
    if (!tagged_token(t)) continue;
    const auto code = static_cast<std::int32_t>(codes.of_token[t]);
    std::int32_t& tag = tag_of[sequences.at(t)];
    one_each = tag < 0 || tag == code;
    tag = code;
  }
  if (!one_each) {
    units.groups = std::move(codes);
    for (std::size_t v = 0; v < values; ++v) units.tag.push_back(static_cast<std::int32_t>(v));
    return units;
  }
  units.by_sequence = true;
  std::vector<std::size_t> per_value(values), seen(values);
  std::size_t tagged = 0;
  for (const std::int32_t tag : tag_of) {
    if (tag < 0) continue;
    ++per_value[static_cast<std::size_t>(tag)];
    ++tagged;
  }
  units.merged = tagged > max_units;
  std::vector<std::size_t> first(values), width(values);
  for (std::size_t v = 0; v < values; ++v) {
    first[v] = units.tag.size();
    width[v] = units.merged ? std::max<std::size_t>(per_value[v] > 0 ? 1 : 0, max_units * per_value[v] / tagged)
                            : per_value[v];
    units.tag.insert(units.tag.end(), width[v], static_cast<std::int32_t>(v));
  }
  std::vector<std::int32_t> unit_of(sequences.count, -1);
  for (std::size_t s = 0; s < sequences.count; ++s) {
    if (tag_of[s] < 0) continue;
    const auto v = static_cast<std::size_t>(tag_of[s]);
    unit_of[s] = static_cast<std::int32_t>(first[v] + seen[v]++ * width[v] / per_value[v]);
  }
  units.groups.count = units.tag.size();
  units.groups.of_token = std::move(codes.of_token);
  for (std::size_t t = 0; t < units.groups.of_token.size(); ++t) {
    std::uint32_t& group = units.groups.of_token[t];
    group =
        group < values && input.filter.mask.test(t) ? static_cast<std::uint32_t>(unit_of[sequences.at(t)]) : no_group;
  }
  return units;
}

}  // namespace moescope
