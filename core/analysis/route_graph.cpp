// Route graph: how tokens move between experts over a range of rows, aggregated.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/kernels/counting.h"
#include "core/analysis/pairs.h"
#include "core/analysis/tags.h"
#include "core/analysis/token_groups.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t most_link_cells = std::size_t{1} << 22U;  // of the tables of pairs counted together

// One row of the range: its load, where its tokens go, and the tags of its tokens.
struct Floor {
  std::uint32_t row = 0;
  int next = -1;                 // the following row of the same kind in the range
  std::vector<double> uses;      // [experts]
  std::vector<double> tag_uses;  // [experts × tag values]
  std::vector<double> entropy;   // [experts], of the next experts
  std::vector<Graph::Link> links;
  std::uint64_t bad = 0;
};

// Loads of all floors, by tag value where there is a tag.
Expected<void> count_floors(const AnalysisInput& input, const TagReader* tag, const ParallelStage& stage,
                            std::vector<Floor>& floors) {
  const kernels::CountJob job{input.work, stage};
  std::vector<std::uint32_t> rows;
  rows.reserve(floors.size());
  for (const Floor& floor : floors) rows.push_back(floor.row);
  if (!tag) {
    const auto loads = kernels::count_load(input.trace, input.filter.mask, rows, job);
    if (!loads) return fail(loads.error());
    for (std::size_t f = 0; f < floors.size(); ++f) {
      floors[f].uses.assign((*loads)[f].counts.begin(), (*loads)[f].counts.end());
      floors[f].bad = (*loads)[f].bad;
    }
    return {};
  }
  const kernels::TokenGroups groups = tag_groups(input.trace, *tag, true);
  const auto counted = kernels::count_grouped(input.trace, input.filter.mask, rows, groups, job);
  if (!counted) return fail(counted.error());
  const std::size_t values = tag->names().size();
  for (std::size_t f = 0; f < floors.size(); ++f) {
    const std::size_t experts = input.trace.rows()[rows[f]].experts;
    const kernels::GroupedCounts& counts = (*counted)[f];
    floors[f].bad = counts.bad;
    floors[f].uses.assign(experts, 0);
    floors[f].tag_uses.assign(experts * values, 0);
    for (std::size_t g = 0; g < groups.count; ++g) {
      for (std::size_t e = 0; e < experts; ++e) {
        const double n = counts.counts[g * experts + e];
        floors[f].uses[e] += n;
        if (g < values) floors[f].tag_uses[e * values + g] = n;
      }
    }
  }
  return {};
}

// What is kept of the pairs of two floors.
struct LinkLimits {
  double threshold = 0;
  std::size_t most = 0;
};

// Links and entropies of a floor from the counts of its pairs [experts × experts of the next row].
template <typename Cell>
void make_links(Floor& floor, const std::vector<Cell>& counts, std::size_t columns, double tokens,
                const LinkLimits& limits) {
  const auto to = static_cast<std::uint32_t>(floor.next);
  std::vector<double> cells(columns);
  for (std::size_t i = 0; i < floor.entropy.size(); ++i) {
    const auto row = counts.begin() + static_cast<std::ptrdiff_t>(i * columns);
    std::copy(row, row + static_cast<std::ptrdiff_t>(columns), cells.begin());
    floor.entropy[i] = columns > 1 ? entropy_of(cells) / std::log(static_cast<double>(columns)) : no_value;
    for (std::size_t j = 0; j < columns; ++j) {
      const double share = tokens > 0 ? cells[j] / tokens : 0;
      if (cells[j] <= 0 || share < limits.threshold) continue;
      floor.links.push_back(
          {{{floor.row, static_cast<std::uint32_t>(i)}, {to, static_cast<std::uint32_t>(j)}}, share, cells[j]});
    }
  }
  std::sort(floor.links.begin(), floor.links.end(),
            [](const Graph::Link& a, const Graph::Link& b) { return a.n != b.n ? a.n > b.n : a.link < b.link; });
  if (floor.links.size() > limits.most) floor.links.resize(limits.most);
}

// Links of all floors over the leading `ranks` of `slots` slots.
Expected<void> count_links(const AnalysisInput& input, std::size_t ranks, std::size_t slots, const LinkLimits& limits,
                           const ParallelStage& stage, std::vector<Floor>& floors) {
  const auto& rows = input.trace.rows();
  std::vector<Floor*> joined;
  for (Floor& floor : floors) {
    if (floor.next >= 0) joined.push_back(&floor);
  }
  const auto pair_of = [&](const Floor& floor) {
    return kernels::Rows{floor.row, static_cast<std::uint32_t>(floor.next)};
  };
  if (ranks > 1 && ranks < slots) {  // a part of the ranks: the plain loop
    const std::vector<Chunk> chunks = chunks_of(input.trace);
    return parallel_for(joined.size(), input.work, stage, [&](std::size_t f, std::size_t) {
      const auto [from, to] = pair_of(*joined[f]);
      PairTable table({from, to, rows[from].experts, rows[to].experts, ranks}, PairWeighting::pairs);
      (void)count_pairs(chunks, input.filter.mask, input.work, table);
      const PairTable::Joint joint = table.joint();
      make_links(*joined[f], joint.cells, joint.to.size(), joint.tokens, limits);
    });
  }
  // So many pairs at a time that their tables stay small.
  const std::size_t cells = std::size_t{most_experts(rows)} * most_experts(rows);
  const std::size_t at_once = std::max<std::size_t>(2, most_link_cells / cells);
  const kernels::Ranks kind = ranks == 1 ? kernels::Ranks::first : kernels::Ranks::all;
  for (std::size_t begin = 0; begin < joined.size(); begin += at_once) {
    const std::size_t end = std::min(joined.size(), begin + at_once);
    const auto share = [&](std::size_t f) {
      return stage.from + (stage.to - stage.from) * static_cast<double>(f) / static_cast<double>(joined.size());
    };
    std::vector<kernels::Rows> pairs;
    for (std::size_t f = begin; f < end; ++f) pairs.push_back(pair_of(*joined[f]));
    std::vector<kernels::PairCounts> tables;
    const kernels::CountJob job{input.work, {stage.name, share(begin), share(end)}};
    auto done = kernels::count_pairs(input.trace, input.filter.mask, pairs, kind, tables, job);
    if (!done) return done;
    done =
        parallel_for(tables.size(), input.work, {stage.name, share(end), share(end)}, [&](std::size_t p, std::size_t) {
          const kernels::PairCounts& table = tables[p];
          if (kind == kernels::Ranks::all) {
            return make_links(*joined[begin + p], table.cells, table.to_experts, static_cast<double>(table.tokens),
                              limits);
          }
          double tokens = 0;  // whose first slots at both rows hold experts
          for (const std::uint32_t n : table.first) tokens += n;
          make_links(*joined[begin + p], table.first, table.to_experts, tokens, limits);
        });
    if (!done) return done;
  }
  return {};
}

std::string graph_unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  return trace.rows().size() < 2 ? "has only one router row" : too_large_for_pairs(trace);
}

Expected<Result> run_graph(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  const auto first = row_parameter(input, "first_row");
  if (!first) return fail(first.error());
  const auto asked_last = input.params.at("last_row").get<std::int64_t>();
  const auto last_row = static_cast<std::int64_t>(rows.size()) - 1;
  if (asked_last > last_row || (asked_last >= 0 && asked_last < std::int64_t{*first})) {
    return fail(ErrorKind::usage, fmt::format("there are no rows {} to {}", *first, asked_last), "parameter last_row",
                fmt::format("Give a row from {} to {}, or -1 for the last", *first, last_row));
  }
  const auto last = static_cast<std::uint32_t>(asked_last < 0 ? last_row : asked_last);
  const double threshold = input.params.at("threshold").get<double>();
  const auto most = input.params.at("max_links").get<std::size_t>();
  const std::size_t slots = std::max<std::size_t>(1, trace.max_slots());
  const auto asked_ranks = input.params.at("ranks").get<std::size_t>();
  const std::size_t ranks = asked_ranks == 0 ? slots : std::min(asked_ranks, slots);
  const std::string tag_name = input.params.at("tag").get<std::string>();
  const auto tag = find_tag(trace, tag_name);

  std::vector<Floor> floors;
  for (std::uint32_t r = *first; r <= last; ++r) {
    if (!keeps_row(input.filter, r)) continue;
    Floor& floor = floors.emplace_back();
    floor.row = r;
    const int next = row_at_distance(rows, r, 1);
    if (next >= 0 && next <= static_cast<int>(last) && keeps_row(input.filter, static_cast<std::uint32_t>(next))) {
      floor.next = next;
    }
    floor.entropy.assign(rows[r].experts, no_value);
  }
  if (floors.empty()) {
    return fail(ErrorKind::usage, "the filter leaves out all of these rows", input.filter.filter.text,
                "Choose rows that the filter keeps");
  }
  auto done = count_floors(input, tag ? &*tag : nullptr, {"Route graph", 0, 0.4}, floors);
  if (done) done = count_links(input, ranks, slots, {threshold, most}, {"Route graph: links", 0.4, 1}, floors);
  if (!done) return fail(done.error());

  Result result;
  result.title =
      fmt::format("Routes from {} to {}", row_name(rows[floors.front().row]), row_name(rows[floors.back().row]));
  Graph graph{"routes", result.title, "share of tokens", {}, {}};
  Matrix entropy{"node_entropy", "Entropy of the next experts", "of ln E", "expert", ""};
  entropy.column_names = {"entropy"};
  entropy.formula = "-sum_j q ln q / ln E, q = where an expert's tokens go at the next row; absent at the last row";
  Matrix share{"tag_share", "Tags of each expert's tokens", "fraction", "expert", tag_name};
  share.formula = "slots of the expert whose token has the tag value / its slots whose token is tagged";
  if (tag) share.column_names = tag->names();
  std::uint64_t bad = 0;
  for (Floor& floor : floors) {
    double row_uses = 0;
    for (const double n : floor.uses) row_uses += n;
    bad += floor.bad;
    for (std::uint32_t e = 0; e < rows[floor.row].experts; ++e) {
      graph.nodes.push_back({{floor.row, e}, row_uses > 0 ? floor.uses[e] / row_uses : no_value});
      entropy.row_names.push_back(expert_label(rows[floor.row].layer, e));
      entropy.values.push_back(floor.entropy[e]);
      entropy.n.push_back(floor.uses[e]);
      entropy.absence.push_back(std::isnan(floor.entropy[e]) ? Absence::not_recorded : Absence::present);
      if (!tag) continue;
      const std::size_t values = tag->names().size();
      double tagged = 0;
      for (std::size_t v = 0; v < values; ++v) tagged += floor.tag_uses[e * values + v];
      share.row_names.push_back(entropy.row_names.back());
      share.n.push_back(tagged);
      for (std::size_t v = 0; v < values; ++v) {
        share.values.push_back(tagged > 0 ? floor.tag_uses[e * values + v] / tagged : no_value);
        share.absence.push_back(tagged > 0 ? Absence::present : Absence::not_recorded);
      }
    }
    graph.links.insert(graph.links.end(), floor.links.begin(), floor.links.end());
  }
  result.graphs = {std::move(graph)};
  result.matrices = {std::move(entropy)};
  if (tag) {
    result.matrices.insert(result.matrices.begin(), std::move(share));
  } else {
    result.caveats.push_back(fmt::format("The trace has no tag \"{}\".", tag_name));
  }
  result.caveats.push_back(fmt::format(
      "Links: {}; at least {:.3g} of the tokens, at most {} per pair of rows. A link's value is tokens with "
      "both experts over tokens with an expert at both rows.",
      ranks == 1 ? std::string("first ranks") : fmt::format("all pairs of the first {} ranks", ranks), threshold,
      most));
  if (ranks < slots && !trace.info->rank_order) {
    result.caveats.push_back("Leading ranks are leading slots: the trace does not keep the order of ranks.");
  }
  note_bad_ids(result, bad);
  return result;
}

}  // namespace

AnalysisSpec route_graph_analysis() {
  return AnalysisSpec{"route_graph",
                      "Routes",
                      "How tokens move between experts over a range of rows.",
                      1,
                      {row_parameter_spec("first_row", "First router row.", 0),
                       {"last_row", "int", "Last router row; -1 = the last there is.", -1, {}, -1, 1e6},
                       {"threshold", "number", "Smallest share of tokens of a link.", 0.002, {}, 0, 1},
                       {"ranks", "int", "Leading ranks that make links; 0 = all.", 1, {}, 0, 249},
                       {"max_links", "int", "Most links per pair of rows.", 400, {}, 1, 1000000},
                       {"tag", "text", "Tag whose values colour the nodes.", "domain"}},
                      graph_unavailable,
                      run_graph};
}

}  // namespace moescope
