// Expert tokens: which vocabulary entries an expert is used for most.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"

namespace moescope {
namespace {

struct Use {
  std::uint64_t uses = 0, occurrences = 0;
  std::size_t example = 0;  // a token of the trace with this id
};

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
  std::unordered_map<std::int32_t, Use> by_id;
  std::uint64_t uses = 0, bad = 0;
  const std::size_t ranks = std::max<std::size_t>(1, trace.max_slots());
  std::vector<std::uint16_t> ids(tile_tokens * ranks);
  for (const Chunk& chunk : chunks_of(trace)) {
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      if (input.work.cancelled()) return fail(ErrorKind::cancelled, "stopped", "Expert tokens");
      bad += decode_ids(tile, *row, router.experts, ranks, ids.data());
      for (std::size_t t = 0; t < tile.size(); ++t) {
        const std::uint16_t* first = ids.data() + t * ranks;
        const std::uint16_t* last = first + ranks;
        if (std::none_of(first, last, [&](std::uint16_t id) { return id < router.experts; })) continue;
        Use& use = by_id[chunk.segment->token_ids[tile.token(t)]];
        if (use.occurrences++ == 0) use.example = tile.global_token(t);
        if (std::find(first, last, static_cast<std::uint16_t>(expert)) == last) continue;
        ++use.uses;
        ++uses;
      }
    }
  }
  std::vector<std::pair<std::int32_t, Use>> ranked;
  for (const auto& entry : by_id) {
    if (entry.second.uses > 0) ranked.push_back(entry);
  }
  const auto top = std::min(input.params.at("top").get<std::size_t>(), ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(top), ranked.end(),
                    [](const auto& a, const auto& b) {
                      return a.second.uses != b.second.uses ? a.second.uses > b.second.uses : a.first < b.first;
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
    const auto& [id, use] = ranked[i];
    table.rows.push_back({visible(trace.token_text(use.example)), std::int64_t{id}, static_cast<std::int64_t>(use.uses),
                          static_cast<double>(use.uses) / static_cast<double>(uses),
                          static_cast<std::int64_t>(use.occurrences),
                          static_cast<double>(use.uses) / static_cast<double>(use.occurrences)});
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
  note_bad_ids(result, bad);
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
