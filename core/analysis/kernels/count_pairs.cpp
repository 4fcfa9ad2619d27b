// Pairs of experts of two rows: the counts behind co-activation and affinity.
#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/pair_table.h"
#include "core/analysis/kernels/row_tile.h"
#include "core/analysis/kernels/work_items.h"

namespace moescope::kernels {
namespace {

// Rows of a tile that are still needed, each loaded once.
class RowPool {
 public:
  RowPool(const KernelSet& set, std::size_t capacity) : set_(set), capacity_(capacity) {}
  // Forgets all rows, for the next tile.
  void clear() {
    for (auto& entry : entries_) entry.row = no_row;
  }
  // The row, if it is there.
  [[nodiscard]] RowTile* find(std::uint32_t row) {
    for (auto& entry : entries_) {
      if (entry.row == row) return entry.tile.get();
    }
    return nullptr;
  }
  // Memory for a row, of one that `needed` no longer wants or new.
  template <typename Needed>
  RowTile& take(std::uint32_t row, Needed needed) {
    for (auto& entry : entries_) {
      if (entry.row != no_row && needed(entry.row)) continue;
      entry.row = row;
      return *entry.tile;
    }
    entries_.push_back({row, std::make_unique<RowTile>(set_, capacity_)});
    return *entries_.back().tile;
  }

 private:
  static constexpr std::uint32_t no_row = 0xFFFF'FFFFU;
  struct Entry {
    std::uint32_t row = no_row;
    std::unique_ptr<RowTile> tile;
  };
  const KernelSet& set_;
  std::size_t capacity_;
  std::vector<Entry> entries_;
};

}  // namespace

PairCounts empty_counts(const std::vector<RouterRow>& rows, Rows pair, Ranks ranks) {
  PairCounts counts;
  counts.rows = pair;
  counts.from_experts = rows[pair.from].experts;
  counts.to_experts = rows[pair.to].experts;
  const std::size_t cells = std::size_t{counts.from_experts} * counts.to_experts;
  if (ranks != Ranks::first) counts.cells.assign(cells, 0);
  if (ranks != Ranks::all) counts.first.assign(cells, 0);
  counts.from.assign(counts.from_experts, 0);
  counts.to.assign(counts.to_experts, 0);
  return counts;
}

Expected<void> count_pairs(const Trace& trace, const TokenMask& mask, std::span<const Rows> pairs, Ranks ranks,
                           std::vector<PairCounts>& into, const CountJob& job) {
  const auto& rows = trace.rows();
  if (into.empty()) {
    for (const Rows& pair : pairs) into.push_back(empty_counts(rows, pair, ranks));
  }
  std::uint32_t widest = 1;
  for (const Rows& pair : pairs) widest = std::max({widest, rows[pair.from].experts, rows[pair.to].experts});
  // Tables of a piece stay a few megabytes.
  const std::size_t table_bytes = std::size_t{widest} * widest * 4 * (ranks == Ranks::both ? 2 : 1);
  const std::size_t most_pairs = std::clamp<std::size_t>((std::size_t{8} << 20U) / table_bytes, 1, 16);
  const std::vector<WorkItem> items = split_work(trace, pairs.size(), job.begin, job.end, most_pairs);
  std::mutex adding;
  return parallel_for(items.size(), job.work, job.stage, [&](std::size_t which, std::size_t) {
    const WorkItem& item = items[which];
    const KernelSet& set = active_kernels();
    const std::size_t capacity = tile_capacity(widest);
    // In the order in which their later row is reached, so that few rows are held at a time.
    std::vector<std::size_t> order;
    for (std::size_t p = item.first; p < item.last; ++p) order.push_back(p);
    const auto later = [&](std::size_t p) { return std::max(pairs[p].from, pairs[p].to); };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return later(a) < later(b); });
    std::map<std::uint32_t, std::size_t> last_use;  // row -> place in `order`
    std::vector<PairTable> tables;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Rows& pair = pairs[order[i]];
      last_use[pair.from] = last_use[pair.to] = i;
      tables.emplace_back(rows[pair.from].experts, rows[pair.to].experts, ranks);
    }
    RowPool pool(set, capacity);
    TileWalker walker(trace, mask, item.begin, item.end, capacity);
    TokenTile tile;
    while (walker.next(tile)) {
      pool.clear();
      for (std::size_t i = 0; i < order.size(); ++i) {
        if (job.work.cancelled()) return;
        const Rows& pair = pairs[order[i]];
        const auto ready = [&](std::uint32_t row) {
          if (RowTile* const held = pool.find(row)) return held;
          RowTile& loaded = pool.take(row, [&](std::uint32_t held) { return last_use[held] >= i; });
          loaded.load(tile, row, rows[row].experts, ranks != Ranks::first);
          return &loaded;
        };
        RowTile* const from = ready(pair.from);
        RowTile* const to = ready(pair.to);
        tables[i].add(set, *from, *to);
      }
    }
    const std::lock_guard<std::mutex> hold(adding);
    for (std::size_t i = 0; i < order.size(); ++i) tables[i].add_to(into[order[i]]);
  });
}

}  // namespace moescope::kernels
