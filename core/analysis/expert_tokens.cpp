// Expert tokens: which vocabulary entries an expert is used for most.
#include <fmt/format.h>

#include <algorithm>

#include "core/analysis/common.h"
#include "core/analysis/token_groups.h"

namespace moescope {
namespace {

std::string tokens_unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  const bool ids = std::all_of(trace.segments.begin(), trace.segments.end(),
                               [](const auto& segment) { return !segment->token_ids.empty(); });
  return ids ? "" : "did not record token ids";
}

// What a reader sees for spaces and line ends, which would otherwise be invisible.
std::string visible(const std::string& text) {
  std::string out;
  for (const char c : valid_utf8(text)) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out;
}

Expected<Result> run_tokens(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto row = row_parameter(input, "row");
  if (!row) return fail(row.error());
  const RouterRow& router = trace.rows()[*row];
  const auto expert = input.params.at("expert").get<std::uint64_t>();
  if (expert >= router.experts) {
    return fail(ErrorKind::usage, fmt::format("{} has no expert {}", row_name(router), expert), "parameter expert",
                fmt::format("Give an expert from 0 to {}", router.experts - 1));
  }
  const IdGroups by_id = token_id_groups(trace);
  const auto counted = kernels::count_uses(trace, input.filter.mask, *row, static_cast<std::uint32_t>(expert),
                                           by_id.groups, {input.work, {"Expert tokens", 0, 1}});
  if (!counted) return fail(counted.error());
  std::uint64_t uses = 0;
  std::vector<std::size_t> ranked;  // groups, in the order of their ids
  for (std::size_t g = 0; g < by_id.ids.size(); ++g) {
    uses += counted->uses[g];
    if (counted->uses[g] > 0) ranked.push_back(g);
  }
  const auto top = std::min(input.params.at("top").get<std::size_t>(), ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(top), ranked.end(),
                    [&](std::size_t a, std::size_t b) {
                      return counted->uses[a] != counted->uses[b] ? counted->uses[a] > counted->uses[b] : a < b;
                    });
  Table table{"tokens",
              "Tokens of " + expert_label(router.layer, static_cast<std::uint32_t>(expert)),
              {{"token", ""},
               {"id", "", 0},
               {"count", "uses", 0},
               {"share_of_uses", "fraction"},
               {"occurrences", "tokens", 0},
               {"share_of_occurrences", "fraction"}},
              {}};
  for (std::size_t i = 0; i < top; ++i) {
    const std::size_t g = ranked[i];
    const auto of_id = static_cast<double>(counted->uses[g]);
    table.rows.push_back({visible(trace.token_text(counted->first[g])), std::int64_t{by_id.ids[g]},
                          std::int64_t{counted->uses[g]}, of_id / static_cast<double>(uses),
                          std::int64_t{counted->tokens[g]}, of_id / static_cast<double>(counted->tokens[g])});
  }
  Result result;
  result.title = table.title;
  result.tables = {std::move(table)};
  result.scalars.push_back({"uses",
                            "Uses of the expert",
                            "tokens",
                            "tokens with the expert among their experts",
                            {static_cast<double>(uses), no_value, no_value, static_cast<double>(uses)}});
  result.caveats.push_back(
      "Frequent tokens lead any such list: compare share_of_occurrences with the expert's share of all tokens.");
  note_bad_ids(result, counted->bad);
  return result;
}

}  // namespace

AnalysisSpec expert_tokens_analysis() {
  return AnalysisSpec{"expert_tokens",
                      "Expert tokens",
                      "The vocabulary entries that an expert is used for most.",
                      1,
                      {row_parameter_spec("row", "Router row.", 0),
                       row_parameter_spec("expert", "Expert of the row.", 0),
                       {"top", "int", "How many entries.", 20, {}, 1, 100000}},
                      tokens_unavailable,
                      run_tokens};
}

}  // namespace moescope
