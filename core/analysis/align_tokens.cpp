#include <algorithm>
#include <unordered_map>

#include "core/analysis/compare.h"
#include "core/analysis/routes.h"

namespace moescope {
namespace {

constexpr std::size_t known_by = 32;  // token ids that a sequence is recognised by

// A trace's tokens by sequence, in recorded order, with their ids and places.
struct Sequences {
  explicit Sequences(const Trace& trace) {
    const SequenceIndex index = sequence_index(trace);
    tokens.resize(index.count);
    ids.resize(index.count, -1);
    std::size_t at = 0;
    has_token_ids = !trace.segments.empty();
    has_positions = !trace.segments.empty();
    for (const auto& segment : trace.segments) {
      has_token_ids = has_token_ids && !segment->token_ids.empty();
      has_positions = has_positions && !segment->positions.empty();
      for (std::size_t t = 0; t < segment->tokens; ++t, ++at) {
        const std::uint32_t sequence = index.at(at);
        tokens[sequence].push_back(static_cast<std::uint32_t>(at));
        if (!segment->sequence_ids.empty()) ids[sequence] = segment->sequence_ids[t];
        token_ids.push_back(segment->token_ids.empty() ? -1 : segment->token_ids[t]);
        positions.push_back(segment->positions.empty() ? -1 : segment->positions[t]);
      }
    }
  }
  // What a sequence begins with.
  [[nodiscard]] std::vector<std::int32_t> beginning(std::size_t sequence) const {
    std::vector<std::int32_t> out;
    for (std::size_t i = 0; i < std::min(known_by, tokens[sequence].size()); ++i) {
      out.push_back(token_ids[tokens[sequence][i]]);
    }
    return out;
  }

  std::vector<std::vector<std::uint32_t>> tokens;  // [sequence][place]
  std::vector<std::int32_t> ids;                   // [sequence], -1 = not recorded
  std::vector<std::int32_t> token_ids, positions;  // [token]
  bool has_token_ids = false, has_positions = false;
};

struct BeginningHash {
  std::size_t operator()(const std::vector<std::int32_t>& ids) const {
    std::size_t hash = ids.size();
    for (const std::int32_t id : ids) hash = hash * 0x100000001B3ULL ^ static_cast<std::uint32_t>(id);
    return hash;
  }
};

// [sequence of a]: the sequence of b, or none.
constexpr std::size_t none = static_cast<std::size_t>(-1);
std::vector<std::size_t> pair_sequences(const Sequences& a, const Sequences& b, bool by_ids) {
  std::vector<std::size_t> partner(a.tokens.size(), none);
  std::vector<bool> taken(b.tokens.size(), false);
  const auto join = [&](std::size_t x, std::size_t y) {
    partner[x] = y;
    taken[y] = true;
  };
  if (by_ids) {
    std::unordered_map<std::vector<std::int32_t>, std::vector<std::size_t>, BeginningHash> known;
    for (std::size_t y = b.tokens.size(); y-- > 0;) known[b.beginning(y)].push_back(y);
    for (std::size_t x = 0; x < a.tokens.size(); ++x) {
      const auto found = known.find(a.beginning(x));
      if (found == known.end() || found->second.empty()) continue;
      join(x, found->second.back());
      found->second.pop_back();
    }
  }
  // Sequences that were cut short or begin otherwise: by their own id where both recorded one, else by order.
  std::unordered_map<std::int32_t, std::size_t> by_id;
  for (std::size_t y = 0; y < b.tokens.size(); ++y) {
    if (!taken[y] && b.ids[y] >= 0) by_id.try_emplace(b.ids[y], y);
  }
  for (std::size_t x = 0; x < a.tokens.size(); ++x) {
    if (partner[x] != none) continue;
    if (a.ids[x] >= 0 && !by_id.empty()) {
      const auto found = by_id.find(a.ids[x]);
      if (found != by_id.end() && !taken[found->second]) join(x, found->second);
    } else if (x < b.tokens.size() && !taken[x]) {
      join(x, x);
    }
  }
  return partner;
}

}  // namespace

TokenAlignment align_tokens(const Trace& first, const Trace& second) {
  const Sequences a(first), b(second);
  TokenAlignment out;
  out.by_token_ids = a.has_token_ids && b.has_token_ids;
  const bool by_position = a.has_positions && b.has_positions;
  const std::vector<std::size_t> partner = pair_sequences(a, b, out.by_token_ids);
  for (std::size_t x = 0; x < a.tokens.size(); ++x) {
    if (partner[x] == none) continue;
    ++out.sequences;
    const auto& left = a.tokens[x];
    const auto& right = b.tokens[partner[x]];
    std::unordered_map<std::int32_t, std::uint32_t> places;  // of the second trace, by position
    for (std::size_t i = 0; by_position && i < right.size(); ++i) places.try_emplace(b.positions[right[i]], right[i]);
    for (std::size_t i = 0; i < left.size(); ++i) {
      std::uint32_t other = 0;
      if (by_position) {
        const auto found = places.find(a.positions[left[i]]);
        if (found == places.end()) continue;
        other = found->second;
      } else {
        if (i >= right.size()) break;
        other = right[i];
      }
      if (out.by_token_ids && a.token_ids[left[i]] != b.token_ids[other]) {
        ++out.different;
        continue;
      }
      out.first.push_back(left[i]);
      out.second.push_back(other);
    }
  }
  out.only_first = first.token_count() - out.first.size();
  out.only_second = second.token_count() - out.second.size();
  return out;
}

std::vector<RowMatch> match_rows(const Trace& first, const Trace& second) {
  std::vector<RowMatch> matches;
  for (std::uint32_t r = 0; r < first.rows().size(); ++r) {
    const RouterRow& row = first.rows()[r];
    const auto found = std::find_if(second.rows().begin(), second.rows().end(), [&](const RouterRow& other) {
      return other.layer == row.layer && other.block == row.block && other.site == row.site;
    });
    if (found != second.rows().end()) {
      matches.push_back({r, static_cast<std::uint32_t>(found - second.rows().begin())});
    }
  }
  return matches;
}

}  // namespace moescope
