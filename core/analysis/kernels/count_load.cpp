// Load of rows, whole and by group of tokens.
#include <algorithm>
#include <mutex>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/row_tile.h"
#include "core/analysis/kernels/work_items.h"

namespace moescope::kernels {

Expected<std::vector<LoadCounts>> count_load(const Trace& trace, const TokenMask& mask,
                                             std::span<const std::uint32_t> rows, const CountJob& job) {
  std::vector<LoadCounts> loads(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) loads[i].counts.assign(trace.rows()[rows[i]].experts, 0);
  const std::vector<WorkItem> items = split_work(trace, rows.size(), job.begin, job.end);
  std::mutex adding;
  auto done = parallel_for(items.size(), job.work, job.stage, [&](std::size_t which, std::size_t) {
    const WorkItem& item = items[which];
    RowTile row_tile(active_kernels(), tile_capacity(1));
    std::vector<LoadCounts> mine(item.last - item.first);
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i].counts.assign(loads[item.first + i].counts.size(), 0);
    TileWalker walker(trace, mask, item.begin, item.end, tile_capacity(1));
    TokenTile tile;
    while (walker.next(tile)) {
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (job.work.cancelled()) return;
        LoadCounts& load = mine[i];
        const auto experts = static_cast<std::uint32_t>(load.counts.size());
        // Bit sets of one word are faster to add up than bytes are to count.
        row_tile.load(tile, rows[item.first + i], experts, experts <= 64 && active_kernels().to_columns);
        for (std::size_t e = 0; e < experts; ++e) load.counts[e] += row_tile.counts()[e];
        load.tokens += row_tile.tokens_with_expert();
        load.bad += row_tile.bad();
      }
    }
    const std::lock_guard<std::mutex> hold(adding);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      LoadCounts& load = loads[item.first + i];
      for (std::size_t e = 0; e < load.counts.size(); ++e) load.counts[e] += mine[i].counts[e];
      load.tokens += mine[i].tokens;
      load.bad += mine[i].bad;
    }
  });
  if (!done) return fail(done.error());
  return loads;
}

namespace {

// Tokens of a tile in groups: runs of neighbours in one group.
struct Run {
  std::size_t begin = 0, end = 0;
  std::uint32_t group = 0;
};

void find_runs(const TokenTile& tile, const TokenGroups& groups, std::vector<Run>& runs) {
  runs.clear();
  for (std::size_t t = 0; t < tile.tokens;) {
    const std::uint32_t group = groups.of_token[tile.global(t)];
    const std::size_t begin = t;
    while (++t < tile.tokens && groups.of_token[tile.global(t)] == group) {
    }
    if (group < groups.count) runs.push_back({begin, t, group});
  }
}

}  // namespace

Expected<std::vector<GroupedCounts>> count_grouped(const Trace& trace, const TokenMask& mask,
                                                   std::span<const std::uint32_t> rows, const TokenGroups& groups,
                                                   const CountJob& job) {
  std::vector<GroupedCounts> grouped(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    grouped[i].counts.assign(groups.count * trace.rows()[rows[i]].experts, 0);
    grouped[i].tokens.assign(groups.count, 0);
  }
  const std::vector<WorkItem> items = split_work(trace, rows.size(), job.begin, job.end);
  std::mutex adding;
  auto done = parallel_for(items.size(), job.work, job.stage, [&](std::size_t which, std::size_t) {
    const WorkItem& item = items[which];
    RowTile row_tile(active_kernels(), tile_capacity(1));
    std::vector<GroupedCounts> mine(item.last - item.first);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      mine[i].counts.assign(grouped[item.first + i].counts.size(), 0);
      mine[i].tokens.assign(groups.count, 0);
    }
    TileWalker walker(trace, mask, item.begin, item.end, tile_capacity(1));
    TokenTile tile;
    std::vector<Run> runs;
    while (walker.next(tile)) {
      find_runs(tile, groups, runs);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (job.work.cancelled()) return;
        const std::uint32_t experts = trace.rows()[rows[item.first + i]].experts;
        row_tile.load(tile, rows[item.first + i], experts, false);
        for (const Run& run : runs) {
          row_tile.add_run(run.begin, run.end, mine[i].counts.data() + std::size_t{run.group} * experts);
          mine[i].tokens[run.group] += static_cast<std::uint32_t>(row_tile.tokens_with_expert(run.begin, run.end));
        }
        mine[i].bad += row_tile.bad();
      }
    }
    const std::lock_guard<std::mutex> hold(adding);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      GroupedCounts& to = grouped[item.first + i];
      for (std::size_t c = 0; c < to.counts.size(); ++c) to.counts[c] += mine[i].counts[c];
      for (std::size_t g = 0; g < groups.count; ++g) to.tokens[g] += mine[i].tokens[g];
      to.bad += mine[i].bad;
    }
  });
  if (!done) return fail(done.error());
  return grouped;
}

}  // namespace moescope::kernels
