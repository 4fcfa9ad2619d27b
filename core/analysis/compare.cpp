#include "core/analysis/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/analysis/common.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

// Where tokens of the whole trace lie.
class Places {
 public:
  explicit Places(const Trace& trace) {
    std::size_t begin = 0;
    for (const auto& segment : trace.segments) {
      segments_.push_back(segment.get());
      begins_.push_back(begin);
      begin += segment->tokens;
    }
  }
  // The experts of a token at a row, in rank order, below `experts`.
  void read(std::size_t token, std::uint32_t row, std::uint32_t experts, std::vector<std::uint32_t>& out) const {
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), token);
    const auto place = static_cast<std::size_t>(after - begins_.begin()) - 1;
    const Segment& segment = *segments_[place];
    const std::size_t local = token - begins_[place];
    out.clear();
    const std::size_t filled = segment.has_ids() ? segment.filled(row, local) : 0;
    for (std::size_t s = 0; s < filled; ++s) {
      if (segment.id(row, local, s) < experts) out.push_back(segment.id(row, local, s));
    }
  }

 private:
  std::vector<const Segment*> segments_;
  std::vector<std::size_t> begins_;
};

// One pair of rows over all aligned tokens.
struct RowComparison {
  RowMatch rows;
  std::uint64_t tokens = 0;                     // with experts in both traces
  std::uint64_t same_set = 0;                   // tokens whose experts are the same, in any order
  double overlap = 0, jaccard = 0;              // sums over tokens
  std::vector<std::uint64_t> same_rank, ranks;  // [rank]: tokens with the same expert; tokens with that rank in both
  std::vector<double> moved;                    // [first's experts × second's]
};

void compare_token(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b, std::size_t columns,
                   std::vector<std::uint32_t>& lost, std::vector<std::uint32_t>& gained, RowComparison& out) {
  ++out.tokens;
  lost.clear();
  gained.clear();
  for (const std::uint32_t e : a) {
    if (std::find(b.begin(), b.end(), e) == b.end()) lost.push_back(e);
  }
  for (const std::uint32_t e : b) {
    if (std::find(a.begin(), a.end(), e) == a.end()) gained.push_back(e);
  }
  const auto shared = static_cast<double>(a.size() - lost.size());
  out.same_set += lost.empty() && gained.empty() ? 1 : 0;
  out.overlap += shared / static_cast<double>(a.size());
  out.jaccard += shared / static_cast<double>(a.size() + gained.size());
  for (std::size_t s = 0; s < std::min(a.size(), b.size()); ++s) {
    ++out.ranks[s];
    out.same_rank[s] += a[s] == b[s] ? 1 : 0;
  }
  for (const std::uint32_t i : lost) {
    for (const std::uint32_t j : gained) out.moved[i * columns + j] += 1.0 / static_cast<double>(gained.size());
  }
}

double mean(double sum, std::uint64_t n) {
  return n > 0 ? sum / static_cast<double>(n) : no_value;
}

Matrix rank_matrix(const std::vector<RowComparison>& rows, const std::vector<std::string>& names, std::size_t ranks) {
  Matrix matrix{"rank_agreement", "Same expert at the same rank", "fraction of tokens", "layer", "rank"};
  matrix.formula = "tokens whose expert of rank r is the same in both traces / tokens with a rank r in both";
  matrix.row_names = names;
  for (std::size_t s = 0; s < ranks; ++s) matrix.column_names.push_back(fmt::format("{}", s + 1));
  for (const RowComparison& row : rows) {
    for (std::size_t s = 0; s < ranks; ++s) {
      matrix.values.push_back(mean(static_cast<double>(row.same_rank[s]), row.ranks[s]));
      matrix.n.push_back(static_cast<double>(row.ranks[s]));
      matrix.absence.push_back(row.ranks[s] > 0 ? Absence::present : Absence::not_recorded);
    }
  }
  return matrix;
}

// The strongest moves of all rows.
Table move_table(const std::vector<RowComparison>& rows, const std::vector<std::string>& names,
                 const std::vector<RouterRow>& second, std::size_t most) {
  struct Move {
    std::size_t row;
    std::uint32_t from, to;
    double tokens;
  };
  std::vector<Move> moves;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t columns = second[rows[r].rows.second].experts;
    for (std::size_t cell = 0; cell < rows[r].moved.size(); ++cell) {
      if (rows[r].moved[cell] <= 0) continue;
      moves.push_back({r, static_cast<std::uint32_t>(cell / columns), static_cast<std::uint32_t>(cell % columns),
                       rows[r].moved[cell]});
    }
  }
  const auto middle = moves.begin() + static_cast<std::ptrdiff_t>(std::min(most, moves.size()));
  std::partial_sort(moves.begin(), middle, moves.end(), [](const Move& a, const Move& b) {
    return a.tokens != b.tokens ? a.tokens > b.tokens : std::tie(a.row, a.from, a.to) < std::tie(b.row, b.from, b.to);
  });
  Table table{"moves",
              "Who moved where",
              {{"layer", ""},
               {"from", "expert", 0},
               {"to", "expert", 0},
               {"tokens", "tokens", 1},
               {"share", "fraction of tokens"}},
              {}};
  for (auto move = moves.begin(); move != middle; ++move) {
    table.rows.push_back({names[move->row], std::int64_t{move->from}, std::int64_t{move->to}, move->tokens,
                          mean(move->tokens, rows[move->row].tokens)});
  }
  return table;
}

Expected<std::vector<RowMatch>> common_rows(const Trace& first, const Trace& second, const CompareOptions& options) {
  for (const Trace* trace : {&first, &second}) {
    if (!trace->has_ids()) {
      return fail(ErrorKind::input, "this trace did not record expert ids, so it cannot be compared token by token",
                  trace->name, "Give traces with ids");
    }
  }
  if (options.row >= first.rows().size()) {
    return fail(ErrorKind::usage, fmt::format("{} has no router row {}", first.name, options.row), "row",
                fmt::format("Rows are 0 to {}", first.rows().size() - 1));
  }
  auto matches = match_rows(first, second);
  if (matches.empty()) {
    return fail(ErrorKind::input, "the two traces have no layer in common", first.name + " and " + second.name,
                "Compare traces of one model");
  }
  return matches;
}

}  // namespace

Expected<Result> compare_traces(const Trace& first, const Trace& second, const CompareOptions& options,
                                const WorkContext& work) {
  const auto matches = common_rows(first, second, options);
  if (!matches) return fail(matches.error());
  const TokenAlignment tokens = align_tokens(first, second);
  if (tokens.first.empty()) {
    return fail(
        ErrorKind::input,
        tokens.different > 0 ? "no token of the two traces is the same" : "the two traces have no tokens in common",
        first.name + " and " + second.name, "Record both traces from the same tokens");
  }
  const std::size_t ranks = std::max<std::size_t>(1, std::min(first.max_slots(), second.max_slots()));
  const Places first_places(first), second_places(second);
  std::vector<RowComparison> rows(matches->size());
  auto done = parallel_for(rows.size(), work, {"Compare traces", 0, 1}, [&](std::size_t r, std::size_t) {
    RowComparison& row = rows[r];
    row.rows = (*matches)[r];
    const std::uint32_t from = first.rows()[row.rows.first].experts;
    const std::uint32_t to = second.rows()[row.rows.second].experts;
    row.same_rank.assign(ranks, 0);
    row.ranks.assign(ranks, 0);
    row.moved.assign(std::size_t{from} * to, 0);
    std::vector<std::uint32_t> a, b, lost, gained;
    for (std::size_t t = 0; t < tokens.first.size(); ++t) {
      if (t % 4096 == 0 && work.cancelled()) return;
      first_places.read(tokens.first[t], row.rows.first, from, a);
      second_places.read(tokens.second[t], row.rows.second, to, b);
      if (!a.empty() && !b.empty()) compare_token(a, b, to, lost, gained, row);
    }
  });
  if (!done) return fail(done.error());
  for (const Trace* trace : {&first, &second}) {
    if (auto fault = trace->source_fault()) return fail(std::move(*fault));
  }

  Result result;
  result.title = fmt::format("{} against {}", first.name, second.name);
  result.provenance.analysis = "compare";
  result.provenance.input_name = first.name + " and " + second.name;
  result.provenance.input_hash = first.content_hash + " " + second.content_hash;
  result.provenance.params = {{"row", options.row}};
  result.provenance.tokens = tokens.first.size();
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const RowComparison& row : rows) names.push_back(row_name(first.rows()[row.rows.first]));
  const bool ranked = first.info->rank_order && second.info->rank_order;
  if (ranked) result.matrices.push_back(rank_matrix(rows, names, ranks));

  Series same{"same_set",
              "Same experts",
              "layer",
              "tokens with the same experts",
              "fraction of tokens",
              "tokens whose experts are the same in any order / tokens with experts in both traces"};
  Series overlap{"overlap",  "Shared experts",
                 "layer",    "shared experts",
                 "fraction", "mean over tokens of |A and B| / |A|, A and B the token's experts in the two traces"};
  Series jaccard{
      "jaccard", "Overlap of the two sets", "layer", "overlap", "fraction", "mean over tokens of |A and B| / |A or B|"};
  Table table{"rows",
              "Agreement by layer",
              {{"layer", ""},
               {"n", "tokens", 0},
               {"same_set", "fraction"},
               {"overlap", "fraction"},
               {"jaccard", "fraction"},
               {"first_rank", "fraction"}},
              {}};
  double sum = 0;
  std::uint64_t counted = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const RowComparison& row = rows[r];
    const auto point = [&](Series& series, double y) {
      series.x.push_back(first.rows()[row.rows.first].layer);
      series.x_names.push_back(names[r]);
      series.y.push_back(y);
      series.n.push_back(static_cast<double>(row.tokens));
    };
    point(same, mean(static_cast<double>(row.same_set), row.tokens));
    point(overlap, mean(row.overlap, row.tokens));
    point(jaccard, mean(row.jaccard, row.tokens));
    table.rows.push_back(
        {names[r], static_cast<std::int64_t>(row.tokens), same.y.back(), overlap.y.back(), jaccard.y.back(),
         ranked ? Table::Cell(mean(static_cast<double>(row.same_rank[0]), row.ranks[0])) : Table::Cell()});
    sum += row.overlap;
    counted += row.tokens;
    if (row.rows.first != options.row) continue;
    const std::uint32_t columns = second.rows()[row.rows.second].experts;
    Matrix moved{"moved", "Who moved where, " + names[r], "tokens", "expert in " + first.name,
                 "expert in " + second.name};
    moved.formula = "tokens that lost expert i and gained j, each loss spread evenly over the token's gains";
    moved.row_names = expert_names(first.rows()[row.rows.first].experts);
    moved.column_names = expert_names(columns);
    moved.values = row.moved;
    moved.n = {};
    result.matrices.push_back(std::move(moved));
  }
  result.series = {std::move(same), std::move(overlap), std::move(jaccard)};
  result.tables.push_back(std::move(table));
  result.tables.push_back(move_table(rows, names, second.rows(), options.moves));
  result.scalars.push_back({"tokens",
                            "Tokens compared",
                            "tokens",
                            "tokens that are in both traces",
                            {static_cast<double>(tokens.first.size()), no_value, no_value, no_value}});
  result.scalars.push_back({"overlap",
                            "Shared experts",
                            "fraction",
                            "mean over tokens and layers of |A and B| / |A|",
                            {mean(sum, counted), no_value, no_value, static_cast<double>(counted)}});
  result.caveats.push_back(fmt::format(
      "{} of {} and {} tokens are aligned, in {} pairs of sequences, by {}; {} have other token ids at the same place.",
      tokens.first.size(), first.token_count(), second.token_count(), tokens.sequences,
      tokens.by_token_ids ? "token ids" : "place alone, as token ids are missing", tokens.different));
  const std::size_t unmatched = first.rows().size() + second.rows().size() - 2 * matches->size();
  if (unmatched > 0) result.caveats.push_back(fmt::format("{} router rows are in one trace only.", unmatched));
  if (!ranked) result.caveats.push_back("No agreement by rank: the order of ranks is not known in both traces.");
  return result;
}

}  // namespace moescope
