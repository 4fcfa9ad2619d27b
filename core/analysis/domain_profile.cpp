// Domain profile: how the load of a row's experts differs between the values of a tag, against shuffled tags.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"
#include "core/analysis/tag_units.h"
#include "core/analysis/tags.h"
#include "core/analysis/token_groups.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t shuffles = 200;
constexpr std::size_t profile_draws = 200;
constexpr std::size_t fewest_units = 5;
constexpr std::size_t most_cells = std::size_t{1} << 22U;  // experts × values
constexpr std::size_t most_cells_of_intervals = std::size_t{1} << 16U;
constexpr std::size_t most_cells_at_once = std::size_t{1} << 23U;  // of the tables of rows counted together
constexpr std::uint64_t seed = 20240802;

// Counts of one row: [value × experts] and [group × experts].
struct Profile {
  std::vector<std::uint64_t> counts;
  std::vector<std::uint32_t> units;
  double information = no_value;
  std::vector<double> null;  // sorted
  std::uint64_t tokens = 0, bad = 0;
};

// I(value; expert) in nats of counts [value × experts].
double information_of(const std::vector<std::uint64_t>& counts, std::size_t values, std::size_t experts) {
  std::vector<double> by_value(values), by_expert(experts);
  double n = 0;
  for (std::size_t v = 0; v < values; ++v) {
    for (std::size_t e = 0; e < experts; ++e) {
      const auto count = static_cast<double>(counts[v * experts + e]);
      by_value[v] += count;
      by_expert[e] += count;
      n += count;
    }
  }
  if (n == 0) return no_value;
  double information = 0;
  for (std::size_t v = 0; v < values; ++v) {
    for (std::size_t e = 0; e < experts; ++e) {
      const auto count = static_cast<double>(counts[v * experts + e]);
      if (count > 0) information += count / n * std::log(count * n / (by_value[v] * by_expert[e]));
    }
  }
  return std::max(0.0, information);
}

void sum_units(const std::vector<std::uint32_t>& unit_counts, const std::vector<std::int32_t>& tags,
               std::size_t experts, std::vector<std::uint64_t>& counts) {
  std::fill(counts.begin(), counts.end(), 0U);
  for (std::size_t u = 0; u < tags.size(); ++u) {
    const std::uint32_t* from = unit_counts.data() + u * experts;
    std::uint64_t* to = counts.data() + static_cast<std::size_t>(tags[u]) * experts;
    for (std::size_t e = 0; e < experts; ++e) to[e] += from[e];
  }
}

// Tokens that count, one by one, with their codes: what shuffles by token permute.
struct SingleTokens {
  std::vector<std::uint16_t> ids;  // [token × ranks]
  std::vector<std::int32_t> codes;
};

SingleTokens single_tokens(const AnalysisInput& input, std::uint32_t row, const TagUnits& units, std::size_t ranks) {
  const std::uint32_t experts = input.trace.rows()[row].experts;
  SingleTokens kept;
  std::vector<std::uint16_t> ids(tile_tokens * ranks);
  for (const Chunk& chunk : chunks_of(input.trace)) {
    if (input.work.cancelled()) return kept;
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      (void)decode_ids(tile, row, experts, ranks, ids.data());
      for (std::size_t t = 0; t < tile.size(); ++t) {
        const std::uint32_t code = units.groups.of_token[tile.global_token(t)];
        const std::uint16_t* token = ids.data() + t * ranks;
        if (code >= units.groups.count) continue;
        if (std::all_of(token, token + ranks, [&](std::uint16_t id) { return id >= experts; })) continue;
        kept.ids.insert(kept.ids.end(), token, token + ranks);
        kept.codes.push_back(static_cast<std::int32_t>(code));
      }
    }
  }
  return kept;
}

// Information of the counts under shuffled tags, sorted.
std::vector<double> shuffled_information(const AnalysisInput& input, std::uint32_t row, const TagUnits& units,
                                         std::size_t values, const Profile& profile) {
  const std::size_t experts = input.trace.rows()[row].experts, width = experts + 1;
  const std::size_t ranks = std::max<std::size_t>(1, input.trace.max_slots());
  SingleTokens tokens;
  std::vector<std::uint32_t> table;
  if (!units.by_sequence) {
    tokens = single_tokens(input, row, units, ranks);
    table.resize(values * width);
  }
  std::vector<double> null;
  std::vector<std::uint64_t> drawn(values * experts);
  for (std::size_t draw = 0; draw < shuffles && profile.tokens > 0; ++draw) {
    if (input.work.cancelled()) return null;
    Random random(mix_seed(seed, draw, units.by_sequence ? 0 : row));
    if (units.by_sequence) {
      std::vector<std::int32_t> tags = units.tag;
      shuffle(std::span<std::int32_t>(tags), random);
      sum_units(profile.units, tags, experts, drawn);
    } else {
      shuffle(std::span<std::int32_t>(tokens.codes), random);
      std::fill(table.begin(), table.end(), 0U);
      for (std::size_t t = 0; t < tokens.codes.size(); ++t) {
        std::uint32_t* counts = table.data() + static_cast<std::size_t>(tokens.codes[t]) * width;
        for (std::size_t i = t * ranks; i < (t + 1) * ranks; ++i) ++counts[tokens.ids[i]];
      }
      for (std::size_t v = 0; v < values; ++v) {
        for (std::size_t e = 0; e < experts; ++e) drawn[v * experts + e] = table[v * width + e];
      }
    }
    null.push_back(information_of(drawn, values, experts));
  }
  std::sort(null.begin(), null.end());
  return null;
}

// All rows that the filter keeps, as many at a time as tables may be held; only `shown` keeps its counts by unit.
Expected<std::vector<Profile>> make_profiles(const AnalysisInput& input, const TagUnits& units, std::size_t values,
                                             std::uint32_t shown) {
  const auto& rows = input.trace.rows();
  std::vector<Profile> profiles(rows.size());
  std::vector<std::uint32_t> kept;
  for (std::uint32_t r = 0; r < rows.size(); ++r) {
    if (keeps_row(input.filter, r)) kept.push_back(r);
  }
  const std::size_t cells = std::max<std::size_t>(1, units.groups.count) * most_experts(rows);
  const std::size_t at_once = std::max<std::size_t>(1, most_cells_at_once / cells);
  for (std::size_t begin = 0; begin < kept.size(); begin += at_once) {
    const std::span<const std::uint32_t> batch(kept.data() + begin, std::min(at_once, kept.size() - begin));
    const auto share = [&](std::size_t row) { return static_cast<double>(row) / static_cast<double>(kept.size()); };
    const double from = share(begin), to = share(begin + batch.size()), counted = from + (to - from) * 0.3;
    auto tables = kernels::count_grouped(input.trace, input.filter.mask, batch, units.groups,
                                         {input.work, {"Domain profile", from, counted}});
    if (!tables) return fail(tables.error());
    auto done =
        parallel_for(batch.size(), input.work, {"Domain profile: null", counted, to}, [&](std::size_t i, std::size_t) {
          const std::size_t experts = rows[batch[i]].experts;
          Profile& profile = profiles[batch[i]];
          profile.units = std::move((*tables)[i].counts);
          profile.bad = (*tables)[i].bad;
          for (const std::uint32_t n : (*tables)[i].tokens) profile.tokens += n;
          profile.counts.resize(values * experts);
          sum_units(profile.units, units.tag, experts, profile.counts);
          profile.information = information_of(profile.counts, values, experts);
          profile.null = shuffled_information(input, batch[i], units, values, profile);
          if (batch[i] != shown) profile.units = {};
        });
    if (!done) return fail(done.error());
  }
  return profiles;
}

// Share and lift of every (expert, value) from counts [value × experts].
struct Shares {
  std::vector<double> share, lift;  // [expert × value]
};

template <typename Count>
Shares shares_of(const std::vector<Count>& counts, std::size_t values, std::size_t experts) {
  Shares shares;
  shares.share.assign(experts * values, no_value);
  shares.lift = shares.share;
  std::vector<double> by_value(values), by_expert(experts);
  double n = 0;
  for (std::size_t v = 0; v < values; ++v) {
    for (std::size_t e = 0; e < experts; ++e) {
      by_value[v] += static_cast<double>(counts[v * experts + e]);
      by_expert[e] += static_cast<double>(counts[v * experts + e]);
    }
    n += by_value[v];
  }
  for (std::size_t e = 0; e < experts; ++e) {
    for (std::size_t v = 0; v < values; ++v) {
      if (!(by_value[v] > 0)) continue;
      const double share = static_cast<double>(counts[v * experts + e]) / by_value[v];
      shares.share[e * values + v] = share;
      if (by_expert[e] > 0) shares.lift[e * values + v] = share * n / by_expert[e];
    }
  }
  return shares;
}

// 95 % percentile bootstrap over the sequences of each value; cells of values with few sequences stay without bounds.
void add_intervals(Matrix& share, Matrix& lift, const Profile& profile, const TagUnits& units, std::size_t values,
                   std::size_t experts, const WorkContext& work) {
  std::vector<std::vector<std::size_t>> of_value(values);
  for (std::size_t u = 0; u < units.tag.size(); ++u) of_value[static_cast<std::size_t>(units.tag[u])].push_back(u);
  const std::size_t cells = experts * values;
  std::vector<double> shares(cells * profile_draws), lifts(cells * profile_draws);  // [cell × draw]
  std::vector<double> drawn(cells);
  for (std::size_t draw = 0; draw < profile_draws; ++draw) {
    if (work.cancelled()) return;
    Random random(mix_seed(seed + 1, draw));
    std::fill(drawn.begin(), drawn.end(), 0.0);
    for (std::size_t v = 0; v < values; ++v) {
      for (std::size_t i = 0; i < of_value[v].size(); ++i) {
        const std::uint32_t* from = profile.units.data() + of_value[v][random.below(of_value[v].size())] * experts;
        for (std::size_t e = 0; e < experts; ++e) drawn[v * experts + e] += from[e];
      }
    }
    const Shares of_draw = shares_of(drawn, values, experts);
    for (std::size_t cell = 0; cell < cells; ++cell) {
      shares[cell * profile_draws + draw] = of_draw.share[cell];
      lifts[cell * profile_draws + draw] = of_draw.lift[cell];
    }
  }
  const auto bounds = [&](Matrix& matrix, std::vector<double>& all, std::size_t cell) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(cell * profile_draws);
    // A draw may miss an expert altogether, which leaves it without a lift.
    const auto end = std::remove_if(begin, begin + profile_draws, [](double x) { return std::isnan(x); });
    std::sort(begin, end);
    const std::span<const double> sorted(begin, end);
    matrix.low[cell] = quantile(sorted, 0.025);
    matrix.high[cell] = quantile(sorted, 0.975);
  };
  for (Matrix* matrix : {&share, &lift}) {
    matrix->low.assign(cells, no_value);
    matrix->high.assign(cells, no_value);
  }
  for (std::size_t cell = 0; cell < cells; ++cell) {
    if (of_value[cell % values].size() < fewest_units) continue;
    bounds(share, shares, cell);
    bounds(lift, lifts, cell);
  }
}

std::string profile_unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  return tag_names_of(trace).empty() ? "has no tags" : "";
}

Expected<Result> run_profile(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  const auto row = row_parameter(input, "row");
  if (!row) return fail(row.error());
  const std::string tag_name = input.params.at("tag").get<std::string>();
  const auto tag = find_tag(trace, tag_name);
  if (!tag) return fail(tag.error());
  if (!keeps_row(input.filter, *row)) {
    return fail(ErrorKind::usage, "the filter leaves out " + row_name(rows[*row]), input.filter.filter.text,
                "Choose a row that the filter keeps");
  }
  const std::size_t values = tag->names().size();
  if (values * most_experts(rows) > most_cells) {
    return fail(ErrorKind::usage, fmt::format("{} has {} values, too many for a profile", tag_name, values),
                "parameter tag", "Choose a tag with fewer values");
  }
  const TagUnits units = tag_units(input, tag_groups(trace, *tag, false), values);
  const auto made = make_profiles(input, units, values, *row);
  if (!made) return fail(made.error());
  const std::vector<Profile>& profiles = *made;

  Result result;
  result.title = fmt::format("Experts of {} by {}", row_name(rows[*row]), tag_name);
  const Profile& profile = profiles[*row];
  const std::size_t experts = rows[*row].experts;
  Matrix share{"share", "Share of each value's slots", "fraction of the value", "expert of " + row_name(rows[*row]),
               tag_name};
  Matrix lift{"lift", "Share against all tagged tokens", "times the expert's share", share.row_axis, tag_name};
  share.formula = "n_ev / sum_e n_ev, n_ev = slots with expert e of tokens with value v; columns sum to 1";
  lift.formula = "share(e, v) / share of e among all tagged tokens";
  const Shares shares = shares_of(profile.counts, values, experts);
  share.values = shares.share;
  lift.values = shares.lift;
  for (Matrix* matrix : {&share, &lift}) {
    matrix->row_names = expert_names(rows[*row].experts);
    matrix->column_names = tag->names();
    for (std::size_t cell = 0; cell < matrix->values.size(); ++cell) {
      matrix->n.push_back(static_cast<double>(profile.counts[cell % values * experts + cell / values]));
      matrix->absence.push_back(std::isnan(matrix->values[cell]) ? Absence::not_recorded : Absence::present);
    }
  }
  const bool intervals = units.by_sequence && profile.tokens > 0 && share.values.size() <= most_cells_of_intervals;
  if (intervals) add_intervals(share, lift, profile, units, values, experts, input.work);
  result.matrices = {std::move(share), std::move(lift)};

  Series information{"information", fmt::format("Information between {} and expert", tag_name),
                     "layer",       "information",
                     "nats",        "I(value; expert) over slots = sum p(v, e) ln p(v, e) / (p(v) p(e))"};
  Series null{"information_null",
              "Information with shuffled tags",
              "layer",
              "information",
              "nats",
              "the same after shuffling the tag; low and high are the 1st and 99th percentile"};
  null.role = Series::Role::null_band;
  std::uint64_t bad = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!keeps_row(input.filter, static_cast<std::uint32_t>(r))) continue;
    const Profile& p = profiles[r];
    bad += p.bad;
    double mean = 0;
    for (const double x : p.null) mean += x / static_cast<double>(p.null.size());
    for (Series* series : {&information, &null}) {
      series->x.push_back(rows[r].layer);
      series->x_names.push_back(row_name(rows[r]));
      series->n.push_back(static_cast<double>(p.tokens));
    }
    information.y.push_back(p.information);
    null.y.push_back(p.null.empty() ? no_value : mean);
    null.low.push_back(quantile(p.null, 0.01));
    null.high.push_back(quantile(p.null, 0.99));
  }
  result.series = {std::move(information), std::move(null)};
  result.caveats.push_back(
      units.by_sequence
          ? fmt::format("Null: {} shuffles of the tag between {} {}.", shuffles, units.tag.size(),
                        units.merged ? "groups of sequences" : "sequences")
          : fmt::format("Null: {} shuffles of the tag between tokens, as sequences are not recorded or hold "
                        "several values; tokens of one text are alike, so this null is too narrow.",
                        shuffles));
  if (intervals) {
    result.caveats.push_back(
        fmt::format("Intervals: 95 %, {} bootstrap draws over the sequences of each value, where "
                    "there are at least {}.",
                    profile_draws, fewest_units));
  }
  result.caveats.push_back("Much of such specialisation is the identity of tokens; compare the tokens of an expert.");
  note_bad_ids(result, bad);
  return result;
}

}  // namespace

AnalysisSpec domain_profile_analysis() {
  return AnalysisSpec{
      "domain_profile",
      "Domain profile",
      "How the load of experts differs between the values of a tag, against shuffled tags.",
      1,
      {{"tag", "text", "Tag to compare.", "domain"}, row_parameter_spec("row", "Router row of the matrices.", 0)},
      profile_unavailable,
      run_profile};
}

}  // namespace moescope
