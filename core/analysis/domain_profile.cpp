// Domain profile: how the load of a row's experts differs between the values of a tag, against shuffled tags.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"
#include "core/analysis/tags.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t shuffles = 200;
constexpr std::size_t profile_draws = 200;
constexpr std::size_t max_units = 2048;  // sequences of one tag value are merged beyond it
constexpr std::size_t fewest_units = 5;
constexpr std::size_t most_cells = std::size_t{1} << 22U;  // experts × values
constexpr std::size_t most_cells_of_intervals = std::size_t{1} << 16U;
constexpr std::uint64_t seed = 20240802;

// What is shuffled and drawn: sequences where each has one tag value, else single tokens.
struct Units {
  bool by_sequence = false, merged = false;
  std::vector<std::int32_t> of_token;  // [token]: unit, or the tag code when by token; -1 = does not count
  std::vector<std::int32_t> tag;       // [unit]; empty when by token
};

// Counts of one row: [value × experts], and [unit × experts] by sequence.
struct Profile {
  std::vector<std::uint64_t> counts;
  std::vector<std::uint32_t> units;
  double information = no_value;
  std::vector<double> null;  // sorted
  std::uint64_t tokens = 0, bad = 0;
};

Units make_units(const AnalysisInput& input, const std::vector<std::int32_t>& codes, std::size_t values) {
  Units units;
  const SequenceIndex sequences = sequence_index(input.trace);
  std::vector<std::int32_t> tag_of(sequences.count, -1);
  bool one_each = sequences.recorded;
  for (std::size_t t = 0; t < codes.size() && one_each; ++t) {
    if (codes[t] < 0 || !input.filter.mask.test(t)) continue;
    std::int32_t& tag = tag_of[sequences.at(t)];
    one_each = tag < 0 || tag == codes[t];
    tag = codes[t];
  }
  units.of_token.assign(codes.size(), -1);
  if (!one_each) {
    for (std::size_t t = 0; t < codes.size(); ++t) {
      if (input.filter.mask.test(t)) units.of_token[t] = codes[t];
    }
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
  for (std::size_t t = 0; t < codes.size(); ++t) {
    if (codes[t] >= 0 && input.filter.mask.test(t)) units.of_token[t] = unit_of[sequences.at(t)];
  }
  return units;
}

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

Profile profile_row(const AnalysisInput& input, std::uint32_t row, const Units& units, std::size_t values,
                    const std::vector<Chunk>& chunks) {
  const std::uint32_t experts = input.trace.rows()[row].experts;
  const std::size_t ranks = std::max<std::size_t>(1, input.trace.max_slots());
  const std::size_t width = experts + std::size_t{1};
  Profile profile;
  profile.counts.resize(values * experts);
  const std::size_t tables = units.by_sequence ? units.tag.size() : values;
  std::vector<std::uint32_t> table(tables * width);
  std::vector<std::uint16_t> ids(tile_tokens * ranks);
  std::vector<std::uint16_t> kept;       // by token: ids of the tokens that count, for the shuffles
  std::vector<std::int32_t> kept_codes;  // and their codes
  for (const Chunk& chunk : chunks) {
    if (input.work.cancelled()) return profile;
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      profile.bad += decode_ids(tile, row, experts, ranks, ids.data());
      for (std::size_t t = 0; t < tile.size(); ++t) {
        const std::int32_t unit = units.of_token[tile.global_token(t)];
        const std::uint16_t* token = ids.data() + t * ranks;
        if (unit < 0 || std::all_of(token, token + ranks, [&](std::uint16_t id) { return id >= experts; })) continue;
        ++profile.tokens;
        std::uint32_t* counts = table.data() + static_cast<std::size_t>(unit) * width;
        for (std::size_t i = 0; i < ranks; ++i) ++counts[token[i]];
        if (units.by_sequence) continue;
        kept.insert(kept.end(), token, token + ranks);
        kept_codes.push_back(unit);
      }
    }
  }
  profile.units.resize(tables * experts);
  for (std::size_t u = 0; u < tables; ++u) {
    for (std::size_t e = 0; e < experts; ++e) profile.units[u * experts + e] = table[u * width + e];
  }
  std::vector<std::int32_t> tags = units.tag;
  if (!units.by_sequence) {
    for (std::size_t v = 0; v < values; ++v) tags.push_back(static_cast<std::int32_t>(v));
  }
  sum_units(profile.units, tags, experts, profile.counts);
  profile.information = information_of(profile.counts, values, experts);

  std::vector<std::uint64_t> drawn(values * experts);
  for (std::size_t draw = 0; draw < shuffles && profile.tokens > 0; ++draw) {
    if (input.work.cancelled()) return profile;
    Random random(mix_seed(seed, draw, units.by_sequence ? 0 : row));
    if (units.by_sequence) {
      tags = units.tag;
      shuffle(std::span<std::int32_t>(tags), random);
      sum_units(profile.units, tags, experts, drawn);
    } else {
      shuffle(std::span<std::int32_t>(kept_codes), random);
      std::fill(table.begin(), table.end(), 0U);
      for (std::size_t t = 0; t < kept_codes.size(); ++t) {
        std::uint32_t* counts = table.data() + static_cast<std::size_t>(kept_codes[t]) * width;
        for (std::size_t i = t * ranks; i < (t + 1) * ranks; ++i) ++counts[kept[i]];
      }
      for (std::size_t v = 0; v < values; ++v) {
        for (std::size_t e = 0; e < experts; ++e) drawn[v * experts + e] = table[v * width + e];
      }
    }
    profile.null.push_back(information_of(drawn, values, experts));
  }
  std::sort(profile.null.begin(), profile.null.end());
  return profile;
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
void add_intervals(Matrix& share, Matrix& lift, const Profile& profile, const Units& units, std::size_t values,
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
  const Units units = make_units(input, tag_codes(trace, *tag), values);
  const std::vector<Chunk> chunks = chunks_of(trace);
  std::vector<Profile> profiles(rows.size());
  auto done = parallel_for(rows.size(), input.work, {"Domain profile", 0, 1}, [&](std::size_t r, std::size_t) {
    if (!keeps_row(input.filter, static_cast<std::uint32_t>(r))) return;
    profiles[r] = profile_row(input, static_cast<std::uint32_t>(r), units, values, chunks);
    if (r != *row) profiles[r].units = {};
  });
  if (!done) return fail(done.error());

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
