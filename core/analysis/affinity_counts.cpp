#include "core/analysis/affinity_counts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/analysis/kept_counts.h"
#include "core/analysis/shuffle_null.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

// Tokens, or tokens of all pairs together, from which on a part of them is worth showing.
constexpr std::size_t tokens_shown_early = 200'000, pairs_shown_early = 1'000'000;
constexpr std::size_t kept_bytes = 128U << 20U;  // of counts kept for later calls
constexpr double observed_part = 0.3;            // of the progress, where there is a null

// Mean over experts that occur of their largest entry. cells: [from × columns].
template <typename Cell, typename Margin>
double strength_of(const std::vector<Cell>& cells, const std::vector<Margin>& from, std::size_t columns) {
  double sum = 0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!(from[i] > 0)) continue;
    const auto begin = cells.begin() + static_cast<std::ptrdiff_t>(i * columns);
    sum += static_cast<double>(*std::max_element(begin, begin + static_cast<std::ptrdiff_t>(columns))) /
           static_cast<double>(from[i]);
    ++used;
  }
  return used > 0 ? sum / static_cast<double>(used) : no_value;
}

// n ln n, from a table where n is small: most cells are.
double times_log(std::uint64_t n) {
  static const std::array<double, 4096> small = [] {
    std::array<double, 4096> table{};
    for (std::size_t i = 1; i < table.size(); ++i) table[i] = static_cast<double>(i) * std::log(static_cast<double>(i));
    return table;
  }();
  return n < small.size() ? small[n] : static_cast<double>(n) * std::log(static_cast<double>(n));
}

// Mutual information of a table of counts over ln of the smaller side; NaN without counts.
double information_of(const std::vector<std::uint32_t>& cells, std::size_t rows, std::size_t columns) {
  std::vector<std::uint64_t> to(columns);
  std::uint64_t n = 0;
  double sum = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    std::uint64_t from = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      const std::uint32_t count = cells[i * columns + j];
      if (count == 0) continue;
      from += count;
      to[j] += count;
      sum += times_log(count);
    }
    sum -= times_log(from);
    n += from;
  }
  for (const std::uint64_t count : to) sum -= times_log(count);
  const double scale = std::log(static_cast<double>(std::min(rows, columns)));
  if (n == 0 || scale <= 0) return no_value;
  return std::max(0.0, (sum + times_log(n)) / static_cast<double>(n)) / scale;
}

// Lower end of the 95 % Wilson interval of p at n: ranks links so that rare experts do not win by chance.
double wilson_low(double p, double n) {
  constexpr double z = 1.96;
  if (!(n > 0)) return 0;
  p = std::clamp(p, 0.0, 1.0);
  return (p + z * z / (2 * n) - z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n);
}

template <typename Cell, typename Margin>
std::vector<Graph::Link> strongest_links(const RowPair& pair, const std::vector<Cell>& cells,
                                         const std::vector<Margin>& from, std::size_t count) {
  using Ranked = std::pair<double, std::size_t>;
  const auto stronger = [](const Ranked& a, const Ranked& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::vector<Ranked> kept;  // a heap, the weakest on top
  const std::size_t columns = pair.to_experts;
  for (std::size_t i = 0; i < from.size() && count > 0; ++i) {
    const auto n = static_cast<double>(from[i]);
    for (std::size_t j = 0; j < columns && n > 0; ++j) {
      const double p = static_cast<double>(cells[i * columns + j]) / n;
      // The bound lies below p.
      if (p <= 0 || (kept.size() == count && std::min(p, 1.0) < kept.front().first)) continue;
      const Ranked link{wilson_low(p, n), i * columns + j};
      if (kept.size() == count) {
        if (!stronger(link, kept.front())) continue;
        std::pop_heap(kept.begin(), kept.end(), stronger);
        kept.pop_back();
      }
      kept.push_back(link);
      std::push_heap(kept.begin(), kept.end(), stronger);
    }
  }
  std::sort_heap(kept.begin(), kept.end(), stronger);
  std::vector<Graph::Link> links;
  for (const Ranked& link : kept) {
    const std::size_t i = link.second / columns;
    const auto n = static_cast<double>(from[i]);
    links.push_back(
        {{{pair.from, static_cast<std::uint32_t>(i)}, {pair.to, static_cast<std::uint32_t>(link.second % columns)}},
         static_cast<double>(cells[link.second]) / n,
         n});
  }
  return links;
}

template <typename Margin>
std::vector<double> shares(const std::vector<Margin>& counts) {
  double sum = 0;
  for (const auto n : counts) sum += static_cast<double>(n);
  std::vector<double> out;
  out.reserve(counts.size());
  for (const auto n : counts) out.push_back(sum > 0 ? static_cast<double>(n) / sum : no_value);
  return out;
}

// A table of first ranks as one of pairs: its margins and tokens are its own.
void keep_first_ranks(kernels::PairCounts& counts) {
  counts.cells.assign(counts.first.begin(), counts.first.end());
  std::fill(counts.from.begin(), counts.from.end(), 0U);
  std::fill(counts.to.begin(), counts.to.end(), 0U);
  counts.tokens = 0;
  for (std::size_t i = 0; i < counts.from.size(); ++i) {
    for (std::size_t j = 0; j < counts.to.size(); ++j) {
      const std::uint32_t n = counts.first[i * counts.to.size() + j];
      counts.from[i] += n;
      counts.to[j] += n;
      counts.tokens += n;
    }
  }
}

template <typename Cell, typename Margin>
void summarise(AffinityPair& pair, const std::vector<Cell>& cells, const std::vector<Margin>& from,
               const std::vector<Margin>& to, double tokens, std::size_t links) {
  pair.tokens = tokens;
  pair.strength = strength_of(cells, from, to.size());
  double uses = 0;
  for (const auto n : to) uses += static_cast<double>(n);
  if (tokens > 0) pair.floor = uses / tokens / pair.pair.to_experts;
  pair.from_share = shares(from);
  pair.to_share = shares(to);
  pair.links = strongest_links(pair.pair, cells, from, links);
}

using Memory = KeptCounts<AffinityOptions, const AffinityCounts>;

Memory& memory() {
  static Memory kept(kept_bytes);
  return kept;
}

std::size_t bytes_of(const AffinityCounts& counts) {
  std::size_t bytes = 0;
  for (const auto& pair : counts.pairs) bytes += pair.counts.cells.size() * 8 + pair.counts.first.size() * 4;
  return bytes;
}

// One call's work.
class Counting {
 public:
  Counting(const AnalysisInput& input, const AffinityOptions& options,
           const std::function<void(const AffinityCounts&)>& show)
      : input_(input), options_(options), show_(show), rows_(affinity_rows(input, options.distance)) {
    counts_.sequences_recorded = std::any_of(input.trace.segments.begin(), input.trace.segments.end(),
                                             [](const auto& segment) { return !segment->sequence_ids.empty(); });
    ranks_ = options.weighting == PairWeighting::top1 ? kernels::Ranks::first : kernels::Ranks::both;
    for (const kernels::Rows& rows : rows_) {
      const auto& all = input.trace.rows();
      counts_.pairs.emplace_back().pair = {rows.from, rows.to, all[rows.from].experts, all[rows.to].experts,
                                           std::max<std::size_t>(1, input.trace.max_slots())};
    }
  }

  Expected<AffinityCounts> run() {
    const double observed = options_.draws > 0 ? observed_part : 1.0;
    auto done = options_.weighting == PairWeighting::pairs_over_k2 ? spread(observed) : count(observed);
    if (!done) return fail(done.error());
    if (options_.draws > 0) {
      if (shows_early()) show_(counts_);
      done = draw(observed);
    }
    if (!done) return fail(done.error());
    return std::move(counts_);
  }

 private:
  [[nodiscard]] bool shows_early() const {
    const std::size_t selected = input_.filter.mask.all() ? input_.trace.token_count() : input_.filter.mask.selected;
    return show_ && (selected >= tokens_shown_early || selected * rows_.size() >= pairs_shown_early);
  }

  // All pairs observed, a part of the tokens first where somebody watches.
  Expected<void> count(double until) {
    const std::size_t tokens = input_.trace.token_count();
    std::vector<std::size_t> ends{tokens};
    if (shows_early()) ends = {tokens / 8 / 64 * 64, tokens / 2 / 64 * 64, tokens};
    std::vector<kernels::PairCounts> tables;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      const auto share = [&](std::size_t token) {
        return until * 0.9 * static_cast<double>(token) / static_cast<double>(std::max<std::size_t>(1, tokens));
      };
      kernels::CountJob job{input_.work, {"Affinity", share(begin), share(end)}, begin, end};
      if (auto done = kernels::count_pairs(input_.trace, input_.filter.mask, rows_, ranks_, tables, job); !done) {
        return done;
      }
      begin = end;
      if (end == tokens) {
        for (std::size_t p = 0; p < tables.size(); ++p) counts_.pairs[p].counts = std::move(tables[p]);
      } else {
        for (std::size_t p = 0; p < tables.size(); ++p) counts_.pairs[p].counts = tables[p];
      }
      auto done = parallel_for(tables.size(), input_.work, {"Affinity", share(end), share(end)},
                               [&](std::size_t p, std::size_t) { sum_up(counts_.pairs[p]); });
      if (!done) return done;
      counts_.share = tokens > 0 ? static_cast<double>(end) / static_cast<double>(tokens) : 1.0;
      if (end != tokens) show_(counts_);
    }
    return {};
  }

  void sum_up(AffinityPair& pair) const {
    kernels::PairCounts& counts = pair.counts;
    pair.bad = counts.bad;
    pair.information = information_of(counts.first, counts.from.size(), counts.to.size());
    if (ranks_ == kernels::Ranks::first) keep_first_ranks(counts);
    summarise(pair, counts.cells, counts.from, counts.to, static_cast<double>(counts.tokens), options_.links);
  }

  // Pairs weighted by each token's own numbers of experts.
  Expected<void> spread(double until) {
    const std::vector<Chunk> chunks = chunks_of(input_.trace);
    return parallel_for(counts_.pairs.size(), input_.work, {"Affinity", 0, until}, [&](std::size_t p, std::size_t) {
      AffinityPair& pair = counts_.pairs[p];
      PairTable table(pair.pair, options_.weighting);
      pair.bad = moescope::count_pairs(chunks, input_.filter.mask, input_.work, table);
      pair.spread = table.joint();
      pair.information = table.first_rank_information();
      summarise(pair, pair.spread.cells, pair.spread.from, pair.spread.to, pair.spread.tokens, options_.links);
    });
  }

  Expected<void> draw(double from) {
    const SequenceIndex sequences = sequence_index(input_.trace);
    const GroupedTokens grouped = group_tokens(input_.trace, input_.filter.mask, sequences);
    return parallel_for(rows_.size(), input_.work, {"Affinity: null", from, 1}, [&](std::size_t p, std::size_t) {
      AffinityPair& pair = counts_.pairs[p];
      const auto take = [&](double strength, double information) {
        if (strength == strength) pair.null_strength.push_back(strength);
        if (information == information) pair.null_information.push_back(information);
      };
      const std::uint64_t seed = mix_seed(options_.seed, pair.pair.from);
      if (options_.weighting == PairWeighting::pairs_over_k2) {
        shuffled_pairs(input_.trace, grouped, pair.pair, options_.weighting, options_.draws, seed, input_.work,
                       [&](const PairTable& table) {
                         const auto joint = table.joint();
                         take(strength_of(joint.cells, joint.from, joint.to.size()), table.first_rank_information());
                       });
      } else {
        count_shuffled(input_.trace, grouped, rows_[p], ranks_, options_.draws, seed, input_.work,
                       [&](const kernels::PairCounts& drawn) {
                         kernels::PairCounts counts = drawn;
                         const double information = information_of(counts.first, counts.from.size(), counts.to.size());
                         if (ranks_ == kernels::Ranks::first) keep_first_ranks(counts);
                         take(strength_of(counts.cells, counts.from, counts.to.size()), information);
                       });
      }
      std::sort(pair.null_strength.begin(), pair.null_strength.end());
      std::sort(pair.null_information.begin(), pair.null_information.end());
    });
  }

  const AnalysisInput& input_;
  const AffinityOptions& options_;
  const std::function<void(const AffinityCounts&)>& show_;
  std::vector<kernels::Rows> rows_;
  kernels::Ranks ranks_ = kernels::Ranks::both;
  AffinityCounts counts_;
};

}  // namespace

PairTable::Joint AffinityPair::joint() const {
  if (!spread.cells.empty()) return spread;
  PairTable::Joint joint;
  joint.cells.assign(counts.cells.begin(), counts.cells.end());
  joint.from.assign(counts.from.begin(), counts.from.end());
  joint.to.assign(counts.to.begin(), counts.to.end());
  joint.tokens = static_cast<double>(counts.tokens);
  return joint;
}

std::vector<kernels::Rows> affinity_rows(const AnalysisInput& input, std::size_t distance) {
  std::vector<kernels::Rows> pairs;
  const auto& rows = input.trace.rows();
  for (std::uint32_t from = 0; from < rows.size(); ++from) {
    const int to = row_at_distance(rows, from, distance);
    if (to < 0) continue;
    const auto second = static_cast<std::uint32_t>(to);
    if (keeps_row(input.filter, from) && keeps_row(input.filter, second)) pairs.push_back({from, second});
  }
  return pairs;
}

Expected<std::shared_ptr<const AffinityCounts>> affinity_counts(
    const AnalysisInput& input, const AffinityOptions& options,
    const std::function<void(const AffinityCounts&)>& show) {
  const Memory::Key key = Memory::key_of(input, options);
  if (auto kept = memory().find(key)) return kept;
  auto counted = Counting(input, options, show).run();
  if (!counted) return fail(counted.error());
  auto counts = std::make_shared<const AffinityCounts>(std::move(*counted));
  // A file that was lost meanwhile reads as zeros.
  if (!input.trace.source_fault()) memory().keep(key, counts, bytes_of(*counts));
  return counts;
}

}  // namespace moescope
