#include "core/analysis/token_groups.h"

#include <algorithm>

namespace moescope {
namespace {

constexpr std::size_t most_direct_ids = std::size_t{1} << 22U;  // range of ids that a table of places may span

}  // namespace

kernels::TokenGroups tag_groups(const Trace& trace, const TagReader& reader, bool rest) {
  kernels::TokenGroups groups;
  groups.count = reader.names().size() + (rest ? 1 : 0);
  groups.of_token.reserve(trace.token_count());
  for (const auto& segment : trace.segments) {
    for (std::size_t t = 0; t < segment->tokens; ++t) {
      const int code = reader.code(*segment, t);
      groups.of_token.push_back(static_cast<std::uint32_t>(code >= 0 ? code : static_cast<int>(reader.names().size())));
    }
  }
  return groups;
}

IdGroups token_id_groups(const Trace& trace) {
  IdGroups found;
  std::int64_t least = 0, most = -1;
  for (const auto& segment : trace.segments) {
    for (const std::int32_t id : segment->token_ids.values) {
      if (most < least) least = most = id;
      least = std::min<std::int64_t>(least, id);
      most = std::max<std::int64_t>(most, id);
    }
  }
  const auto span = static_cast<std::size_t>(most - least + 1);
  std::vector<std::uint32_t> places(span <= most_direct_ids ? span : 0);
  if (places.empty()) {
    for (const auto& segment : trace.segments)
      found.ids.insert(found.ids.end(), segment->token_ids.values.begin(), segment->token_ids.values.end());
    std::sort(found.ids.begin(), found.ids.end());
    found.ids.erase(std::unique(found.ids.begin(), found.ids.end()), found.ids.end());
  } else {
    for (const auto& segment : trace.segments) {
      for (const std::int32_t id : segment->token_ids.values) places[static_cast<std::size_t>(id - least)] = 1;
    }
    for (std::size_t i = 0; i < span; ++i) {
      if (places[i] == 0) continue;
      places[i] = static_cast<std::uint32_t>(found.ids.size());
      found.ids.push_back(static_cast<std::int32_t>(least + static_cast<std::int64_t>(i)));
    }
  }
  found.groups.count = found.ids.size();
  found.groups.of_token.reserve(trace.token_count());
  for (const auto& segment : trace.segments) {
    for (const std::int32_t id : segment->token_ids.values) {
      found.groups.of_token.push_back(
          places.empty()
              ? static_cast<std::uint32_t>(std::lower_bound(found.ids.begin(), found.ids.end(), id) - found.ids.begin())
              : places[static_cast<std::size_t>(id - least)]);
    }
  }
  return found;
}

}  // namespace moescope
