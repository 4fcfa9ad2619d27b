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
        row_tile.load(tile, rows[item.first + i], experts, false);
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

constexpr std::size_t short_runs = 16;  // mean length below which tokens are counted one by one

// Tokens of a tile in groups: runs of neighbours in one group, and each token's group.
struct Run {
  std::size_t begin = 0, end = 0;
  std::uint32_t group = 0;
};
struct TileGroups {
  std::vector<Run> runs;
  std::vector<std::uint32_t> of_token;
  bool single = false;  // runs are so short that tokens are better taken one by one
};

void find_groups(const TokenTile& tile, const TokenGroups& groups, TileGroups& found) {
  found.runs.clear();
  found.of_token.resize(tile.tokens);
  for (std::size_t t = 0; t < tile.tokens; ++t) found.of_token[t] = groups.of_token[tile.global(t)];
  for (std::size_t t = 0; t < tile.tokens;) {
    const std::uint32_t group = found.of_token[t];
    const std::size_t begin = t;
    while (++t < tile.tokens && found.of_token[t] == group) {
    }
    if (group < groups.count) found.runs.push_back({begin, t, group});
  }
  found.single = found.runs.size() * short_runs > tile.tokens;
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
    TileGroups of_tile;
    while (walker.next(tile)) {
      find_groups(tile, groups, of_tile);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (job.work.cancelled()) return;
        const std::uint32_t experts = trace.rows()[rows[item.first + i]].experts;
        GroupedCounts& to = mine[i];
        row_tile.load(tile, rows[item.first + i], experts, false);
        if (of_tile.single) {
          row_tile.add_grouped(0, tile.tokens, of_tile.of_token.data(), groups.count, to.counts.data());
        }
        for (const Run& run : of_tile.runs) {
          if (!of_tile.single) {
            row_tile.add_run(run.begin, run.end, to.counts.data() + std::size_t{run.group} * experts);
          }
          to.tokens[run.group] += static_cast<std::uint32_t>(row_tile.tokens_with_expert(run.begin, run.end));
        }
        to.bad += row_tile.bad();
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

Expected<GroupUses> count_uses(const Trace& trace, const TokenMask& mask, std::uint32_t row, std::uint32_t expert,
                               const TokenGroups& groups, const CountJob& job) {
  const auto empty = [&] {
    return GroupUses{std::vector<std::uint32_t>(groups.count), std::vector<std::uint32_t>(groups.count),
                     std::vector<std::uint64_t>(groups.count, ~std::uint64_t{0}), 0};
  };
  GroupUses all = empty();
  const std::vector<WorkItem> items = split_work(trace, 1, job.begin, job.end);
  std::mutex adding;
  auto done = parallel_for(items.size(), job.work, job.stage, [&](std::size_t which, std::size_t) {
    RowTile row_tile(active_kernels(), tile_capacity(1));
    GroupUses mine = empty();
    TileWalker walker(trace, mask, items[which].begin, items[which].end, tile_capacity(1));
    TokenTile tile;
    while (walker.next(tile)) {
      if (job.work.cancelled()) return;
      row_tile.load(tile, row, trace.rows()[row].experts, false);
      mine.bad += row_tile.bad();
      for (std::size_t t = 0; t < tile.tokens; ++t) {
        const std::uint64_t token = tile.global(t);
        const std::uint32_t group = groups.of_token[token];
        if (group >= groups.count || !row_tile.has_expert(t)) continue;
        ++mine.tokens[group];
        mine.first[group] = std::min(mine.first[group], token);
        mine.uses[group] += row_tile.holds(t, expert) ? 1 : 0;
      }
    }
    const std::lock_guard<std::mutex> hold(adding);
    for (std::size_t g = 0; g < groups.count; ++g) {
      all.uses[g] += mine.uses[g];
      all.tokens[g] += mine.tokens[g];
      all.first[g] = std::min(all.first[g], mine.first[g]);
    }
    all.bad += mine.bad;
  });
  if (!done) return fail(done.error());
  return all;
}

}  // namespace moescope::kernels
