#include "core/analysis/pairs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/analysis/common.h"

namespace moescope {
namespace {

constexpr std::size_t most_null_cells = 2'000'000;  // of the tables of the null, all draws in work together
constexpr std::uint32_t most_pair_experts = 4096;

bool has_expert(const std::uint16_t* ids, std::size_t ranks, std::uint32_t experts) {
  if (ids[0] < experts) return true;
  return std::any_of(ids + 1, ids + ranks, [&](std::uint16_t id) { return id < experts; });
}

std::size_t filled(const std::uint16_t* ids, std::size_t ranks, std::uint32_t experts) {
  return static_cast<std::size_t>(std::count_if(ids, ids + ranks, [&](std::uint16_t id) { return id < experts; }));
}

}  // namespace

PairTable::PairTable(const RowPair& pair, PairWeighting weighting)
    : pair_(pair), weighting_(weighting), width_(pair.to_experts + 1) {
  const std::size_t cells = (pair.from_experts + std::size_t{1}) * width_;
  first_.resize(cells);
  if (weighting == PairWeighting::pairs) cells_.resize(cells);
  if (weighting == PairWeighting::pairs_over_k2) {
    weighted_.resize(cells);
    from_.resize(pair.from_experts + std::size_t{1});
    to_.resize(width_);
  }
}

void PairTable::clear() {
  std::fill(cells_.begin(), cells_.end(), 0U);
  std::fill(first_.begin(), first_.end(), 0U);
  std::fill(weighted_.begin(), weighted_.end(), 0.0);
  std::fill(from_.begin(), from_.end(), 0.0);
  std::fill(to_.begin(), to_.end(), 0.0);
  tokens_ = 0;
}

// FixedRanks 0 = as many as the pair says; a fixed number lets the compiler unroll the inner loops.
template <std::size_t FixedRanks>
void PairTable::add_pairs(const std::uint16_t* a, const std::uint16_t* b, std::size_t tokens,
                          std::span<const std::uint32_t> partner) {
  const std::size_t ranks = FixedRanks ? FixedRanks : pair_.ranks;
  const std::size_t width = width_;
  std::uint32_t* cells = cells_.data();
  std::uint32_t* first = first_.data();
  std::uint64_t counted = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::uint16_t* from = a + t * ranks;
    const std::uint16_t* to = b + (partner.empty() ? t : partner[t]) * ranks;
    if (from[0] >= pair_.from_experts || to[0] >= pair_.to_experts) {
      if (!has_expert(from, ranks, pair_.from_experts) || !has_expert(to, ranks, pair_.to_experts)) continue;
    }
    ++counted;
    ++first[from[0] * width + to[0]];
    for (std::size_t i = 0; i < ranks; ++i) {
      std::uint32_t* row = cells + from[i] * width;
      for (std::size_t j = 0; j < ranks; ++j) ++row[to[j]];
    }
  }
  tokens_ += counted;
}

void PairTable::add(const std::uint16_t* a, const std::uint16_t* b, std::size_t tokens,
                    std::span<const std::uint32_t> partner) {
  if (weighting_ == PairWeighting::pairs) {
    switch (pair_.ranks) {
      case 1:
        return add_pairs<1>(a, b, tokens, partner);
      case 2:
        return add_pairs<2>(a, b, tokens, partner);
      case 4:
        return add_pairs<4>(a, b, tokens, partner);
      case 6:
        return add_pairs<6>(a, b, tokens, partner);
      case 8:
        return add_pairs<8>(a, b, tokens, partner);
      default:
        return add_pairs<0>(a, b, tokens, partner);
    }
  }
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::uint16_t* from = a + t * pair_.ranks;
    const std::uint16_t* to = b + (partner.empty() ? t : partner[t]) * pair_.ranks;
    if (weighting_ == PairWeighting::top1) {
      // A token whose first rank is out of range has no place in a table of first ranks.
      if (from[0] >= pair_.from_experts || to[0] >= pair_.to_experts) continue;
      ++tokens_;
      ++first_[from[0] * width_ + to[0]];
      continue;
    }
    const std::size_t k_from = filled(from, pair_.ranks, pair_.from_experts);
    const std::size_t k_to = filled(to, pair_.ranks, pair_.to_experts);
    if (k_from == 0 || k_to == 0) continue;
    ++tokens_;
    ++first_[from[0] * width_ + to[0]];
    const double weight = 1.0 / static_cast<double>(k_from * k_to);
    for (std::size_t i = 0; i < pair_.ranks; ++i) {
      if (from[i] >= pair_.from_experts) continue;
      from_[from[i]] += 1.0 / static_cast<double>(k_from);
      for (std::size_t j = 0; j < pair_.ranks; ++j) weighted_[from[i] * width_ + to[j]] += weight;
    }
    for (std::size_t j = 0; j < pair_.ranks; ++j) to_[to[j]] += 1.0 / static_cast<double>(k_to);
  }
}

PairTable::Joint PairTable::joint() const {
  const std::size_t rows = pair_.from_experts;
  const std::size_t columns = pair_.to_experts;
  Joint joint;
  joint.tokens = static_cast<double>(tokens_);
  joint.cells.resize(rows * columns);
  joint.from.resize(rows);
  joint.to.resize(columns);
  if (weighting_ == PairWeighting::pairs_over_k2) {
    for (std::size_t i = 0; i < rows; ++i) {
      std::copy_n(weighted_.begin() + static_cast<std::ptrdiff_t>(i * width_), columns,
                  joint.cells.begin() + static_cast<std::ptrdiff_t>(i * columns));
    }
    std::copy_n(from_.begin(), rows, joint.from.begin());
    std::copy_n(to_.begin(), columns, joint.to.begin());
    return joint;
  }
  const bool top1 = weighting_ == PairWeighting::top1;
  const auto& cells = top1 ? first_ : cells_;
  // Every token puts `ranks` counts, sinks included, into the row of each of its experts.
  const double per_token = top1 ? 1.0 : static_cast<double>(pair_.ranks);
  for (std::size_t i = 0; i <= rows; ++i) {
    for (std::size_t j = 0; j <= columns; ++j) {
      const double n = cells[i * width_ + j];
      if (i < rows) joint.from[i] += n / per_token;
      if (j < columns) joint.to[j] += n / per_token;
      if (i < rows && j < columns) joint.cells[i * columns + j] = n;
    }
  }
  return joint;
}

double PairTable::first_rank_information() const {
  std::vector<double> from(pair_.from_experts), to(pair_.to_experts);
  double n = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (std::size_t j = 0; j < to.size(); ++j) {
      const double count = first_[i * width_ + j];
      from[i] += count;
      to[j] += count;
      n += count;
    }
  }
  const double scale = std::log(static_cast<double>(std::min(from.size(), to.size())));
  if (n == 0 || scale <= 0) return no_value;
  double information = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (std::size_t j = 0; j < to.size(); ++j) {
      const double count = first_[i * width_ + j];
      if (count > 0) information += count / n * std::log(count * n / (from[i] * to[j]));
    }
  }
  return std::max(0.0, information) / scale;
}

std::uint64_t count_pairs(const std::vector<Chunk>& chunks, const TokenMask& mask, const WorkContext& work,
                          PairTable& table) {
  const RowPair& pair = table.pair();
  std::vector<std::uint16_t> a(tile_tokens * pair.ranks), b(tile_tokens * pair.ranks);
  std::uint64_t bad = 0;
  for (const Chunk& chunk : chunks) {
    if (work.cancelled()) return bad;
    TileWalker walker(chunk, mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      bad += decode_ids(tile, pair.from, pair.from_experts, pair.ranks, a.data());
      bad += decode_ids(tile, pair.to, pair.to_experts, pair.ranks, b.data());
      table.add(a.data(), b.data(), tile.size());
    }
  }
  return bad;
}

GroupedTokens group_tokens(const Trace& trace, const TokenMask& mask, const SequenceIndex& sequences) {
  GroupedTokens grouped;
  const std::size_t tokens = trace.token_count();
  grouped.starts.assign(sequences.count + 1, 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    if (mask.test(t)) ++grouped.starts[sequences.at(t) + 1];
  }
  std::partial_sum(grouped.starts.begin(), grouped.starts.end(), grouped.starts.begin());
  grouped.tokens.resize(grouped.starts.back());
  std::vector<std::size_t> next(grouped.starts.begin(), grouped.starts.end() - 1);
  for (std::size_t t = 0; t < tokens; ++t) {
    if (mask.test(t)) grouped.tokens[next[sequences.at(t)]++] = static_cast<std::uint32_t>(t);
  }
  return grouped;
}

namespace {

// Decodes both rows for grouped tokens [begin, end), keeping only tokens with an expert at both, and the group ends.
class PairBatch {
 public:
  PairBatch(const Trace& trace, const GroupedTokens& grouped, const RowPair& pair)
      : grouped_(grouped), pair_(pair), one_(pair.ranks * tile_tokens), two_(pair.ranks * tile_tokens) {
    std::size_t begin = 0;
    for (const auto& segment : trace.segments) {
      segments_.push_back({segment.get(), 0, segment->tokens, begin});
      begin += segment->tokens;
    }
  }

  void load(std::size_t first_group, std::size_t last_group) {
    a.clear();
    b.clear();
    group_ends.clear();
    for (std::size_t group = first_group; group < last_group; ++group) {
      std::size_t at = grouped_.starts[group];
      const std::size_t end = grouped_.starts[group + 1];
      while (at < end) at = append_run(at, end);
      group_ends.push_back(a.size() / pair_.ranks);
    }
  }

  std::vector<std::uint16_t> a, b;
  std::vector<std::size_t> group_ends;

 private:
  // Neighbouring tokens of one segment from `at` on, at most a tile; returns the end.
  std::size_t append_run(std::size_t at, std::size_t end) {
    const std::uint32_t token = grouped_.tokens[at];
    if (!(token >= segments_[current_].global && token < segments_[current_].global + segments_[current_].tokens)) {
      const auto after = std::upper_bound(segments_.begin(), segments_.end(), token,
                                          [](std::uint32_t t, const Chunk& s) { return t < s.global; });
      current_ = static_cast<std::size_t>(after - segments_.begin()) - 1;
    }
    const Chunk& segment = segments_[current_];
    std::uint16_t offsets[tile_tokens];
    std::size_t count = 0;
    while (at + count < end && count < tile_tokens && grouped_.tokens[at + count] == token + count &&
           token + count < segment.global + segment.tokens) {
      offsets[count] = static_cast<std::uint16_t>(count);
      ++count;
    }
    const Tile tile{segment.segment, token - segment.global, token, {offsets, count}, true};
    (void)decode_ids(tile, pair_.from, pair_.from_experts, pair_.ranks, one_.data());
    (void)decode_ids(tile, pair_.to, pair_.to_experts, pair_.ranks, two_.data());
    for (std::size_t t = 0; t < count; ++t) {
      const std::uint16_t* from = one_.data() + t * pair_.ranks;
      const std::uint16_t* to = two_.data() + t * pair_.ranks;
      if (!has_expert(from, pair_.ranks, pair_.from_experts) || !has_expert(to, pair_.ranks, pair_.to_experts))
        continue;
      a.insert(a.end(), from, from + pair_.ranks);
      b.insert(b.end(), to, to + pair_.ranks);
    }
    return at + count;
  }

  const GroupedTokens& grouped_;
  const RowPair& pair_;
  std::vector<Chunk> segments_;
  std::size_t current_ = 0;
  std::vector<std::uint16_t> one_, two_;
};

// One draw of one batch: permutes within each group and counts.
void add_shuffled(const PairBatch& batch, std::size_t ranks, Random& random, std::vector<std::uint32_t>& partner,
                  const WorkContext& work, PairTable& table) {
  const std::size_t tokens = batch.group_ends.back();
  partner.resize(tokens);
  std::iota(partner.begin(), partner.end(), 0U);
  std::size_t begin = 0;
  for (const std::size_t end : batch.group_ends) {
    shuffle(std::span<std::uint32_t>(partner).subspan(begin, end - begin), random);
    begin = end;
  }
  for (std::size_t t = 0; t < tokens && !work.cancelled(); t += chunk_tokens) {
    const std::size_t count = std::min(chunk_tokens, tokens - t);
    table.add(batch.a.data() + t * ranks, batch.b.data(), count,
              std::span<const std::uint32_t>(partner).subspan(t, count));
  }
}

}  // namespace

void shuffled_pairs(const Trace& trace, const GroupedTokens& grouped, const RowPair& pair, PairWeighting weighting,
                    std::size_t draws, std::uint64_t seed, const WorkContext& work,
                    const std::function<void(const PairTable&)>& take) {
  if (grouped.tokens.empty()) return;
  // As many tables at once as stay small; each batch of tokens is decoded once for all of them.
  const std::size_t cells = (pair.from_experts + std::size_t{1}) * (pair.to_experts + std::size_t{1});
  const std::size_t at_once = std::clamp<std::size_t>(most_null_cells / cells, 1, std::max<std::size_t>(1, draws));
  std::vector<PairTable> tables(at_once, PairTable(pair, weighting));
  PairBatch batch(trace, grouped, pair);
  std::vector<std::uint32_t> partner;
  const std::size_t groups = grouped.starts.size() - 1;
  for (std::size_t first_draw = 0; first_draw < draws; first_draw += at_once) {
    const std::size_t last_draw = std::min(draws, first_draw + at_once);
    for (PairTable& table : tables) table.clear();
    for (std::size_t group = 0; group < groups;) {
      // Whole sequences, enough of them to make a table's way into the cache worth it.
      std::size_t last = group + 1;
      while (last < groups && grouped.starts[last + 1] - grouped.starts[group] <= chunk_tokens) ++last;
      batch.load(group, last);
      for (std::size_t draw = first_draw; draw < last_draw; ++draw) {
        if (work.cancelled()) return;
        Random random(mix_seed(seed, draw, group));
        add_shuffled(batch, pair.ranks, random, partner, work, tables[draw - first_draw]);
      }
      group = last;
    }
    for (std::size_t draw = first_draw; draw < last_draw && !work.cancelled(); ++draw) take(tables[draw - first_draw]);
  }
}

std::string too_large_for_pairs(const Trace& trace) {
  std::uint64_t most = 0;
  for (const auto& row : trace.rows()) most = std::max<std::uint64_t>(most, row.experts);
  return most > most_pair_experts
             ? "has rows of more than " + std::to_string(most_pair_experts) + " experts, too many for a table of pairs"
             : "";
}

}  // namespace moescope
