#include <fmt/format.h>

#include <set>

#include "app/cli/describe.h"
#include "core/analysis/analysis.h"

namespace moescope::cli {
namespace {

struct Knowledge {
  std::vector<std::string> known, unknown;
  void add(const std::string& name, bool is_known) { (is_known ? known : unknown).push_back(name); }
};

template <typename Test>
bool any_segment(const Trace& trace, Test test) {
  for (const auto& segment : trace.segments) {
    if (test(*segment)) return true;
  }
  return false;
}

Knowledge knowledge_of(const Trace& trace) {
  Knowledge k;
  k.add("which experts each token used", trace.has_ids());
  k.add("the order of a token's experts", trace.has_ids() && trace.info->rank_order);
  k.add("gate weights", trace.has_gate_weights());
  k.add("router logits", trace.has_router_logits());
  k.add("selection scores", any_segment(trace, [](const Segment& s) { return !s.selection_scores.empty(); }));
  k.add("output logits", any_segment(trace, [](const Segment& s) { return !s.output_logits.empty(); }));
  k.add("loss of each token", trace.has_token_value("loss"));
  k.add("token ids", any_segment(trace, [](const Segment& s) { return !s.token_ids.empty(); }));
  k.add("text", !trace.text.empty() || !trace.vocabulary.empty());
  k.add("sequences", any_segment(trace, [](const Segment& s) { return !s.sequence_ids.empty(); }));
  k.add("positions", any_segment(trace, [](const Segment& s) { return !s.positions.empty(); }));
  k.add("prefill or decode", any_segment(trace, [](const Segment& s) { return !s.phases.empty(); }));
  k.add("norms of expert outputs",
        any_segment(trace, [](const Segment& s) { return s.slot_values.count("output_norm") != 0; }));
  k.add("compute type", !trace.info->compute_type.empty());
  k.add("kind of gate weights", !trace.info->weight_kind.empty());
  return k;
}

std::size_t sequences_of(const Trace& trace) {
  std::set<std::int32_t> ids;
  for (const auto& segment : trace.segments) {
    ids.insert(segment->sequence_ids.values.begin(), segment->sequence_ids.values.end());
  }
  return ids.size();
}

std::string rows_words(const std::vector<RouterRow>& rows) {
  if (rows.empty()) return "none";
  std::uint32_t low = rows.front().experts, high = low, k_low = rows.front().k, k_high = k_low;
  for (const RouterRow& row : rows) {
    low = std::min(low, row.experts);
    high = std::max(high, row.experts);
    k_low = std::min(k_low, row.k);
    k_high = std::max(k_high, row.k);
  }
  const std::string experts = low == high ? std::to_string(low) : fmt::format("{} to {}", low, high);
  const std::string k = k_high == 0       ? "a varying number of"
                        : k_low == k_high ? std::to_string(k_low)
                                          : fmt::format("{} to {}", k_low, k_high);
  return fmt::format("{} (layers {} to {}), {} experts each, {} chosen per token", rows.size(), rows.front().layer,
                     rows.back().layer, experts, k);
}

}  // namespace

Description describe_trace(const Trace& trace, const std::filesystem::path& path) {
  const TraceInfo& info = *trace.info;
  const Knowledge knowledge = knowledge_of(trace);
  const std::size_t sequences = sequences_of(trace);
  std::vector<std::string> available, tags;
  nlohmann::json unavailable = nlohmann::json::object();
  std::string unavailable_words;
  for (const AnalysisSpec& spec : analyses()) {
    const std::string why = spec.unavailable ? spec.unavailable(trace) : std::string();
    if (why.empty()) {
      available.push_back(spec.name);
    } else {
      unavailable[spec.name] = why;
      unavailable_words += (unavailable_words.empty() ? "" : "\n") + spec.name + ": " + why;
    }
  }
  for (const auto& [name, values] : info.tag_names) {
    tags.push_back(values.empty() ? name + " (numbers)" : fmt::format("{}: {}", name, joined(values)));
  }
  Facts facts(fmt::format("Trace {}", trace.name));
  facts.add("file", path.string());
  if (!info.model_name.empty()) facts.add("model", fmt::format("{} ({})", info.model_name, info.model_family));
  facts.add("routers", rows_words(info.rows));
  if (!info.rows.empty() && !info.rows.front().rule.empty()) facts.add("rule", info.rows.front().rule);
  facts.add("tokens", fmt::format("{}{}", with_commas(trace.token_count()),
                                  sequences == 0 ? ""
                                                 : fmt::format(" in {} sequence{}", with_commas(sequences),
                                                               sequences == 1 ? "" : "s")));
  if (!trace.counts.empty()) facts.add("counts", fmt::format("{} steps of counts per expert", trace.counts.steps));
  facts.add("expert ids", info.physical_ids ? "physical (where the expert was), not logical" : "logical");
  if (!info.compute_type.empty()) facts.add("computed in", info.compute_type);
  if (!info.weight_kind.empty()) facts.add("gate weights", info.weight_kind);
  facts.add("known", joined(knowledge.known));
  facts.add("not recorded", knowledge.unknown.empty() ? "nothing" : joined(knowledge.unknown));
  if (!tags.empty()) facts.add("tags", joined(tags, "\n"));
  facts.add("source", fmt::format("{}{}{}", info.source_tool.empty() ? "not told" : info.source_tool,
                                  info.source_file.empty() ? "" : ", " + info.source_file,
                                  info.source_notes.empty() ? "" : ", " + info.source_notes));
  if (info.approximate) facts.add("approximate", *info.approximate);
  facts.add("analyses", joined(available));
  if (!unavailable_words.empty()) facts.add("not possible", unavailable_words);
  if (!info.notes.empty()) facts.add("notes", joined(info.notes, "\n"));
  if (!info.unknown_tensors.empty()) facts.add("not understood", joined(info.unknown_tensors));
  facts.add("content hash", trace.content_hash);

  nlohmann::json rows = nlohmann::json::array();
  for (const RouterRow& row : info.rows) {
    rows.push_back({{"layer", row.layer},
                    {"block", row.block},
                    {"site", row.site},
                    {"experts", row.experts},
                    {"k", row.k},
                    {"shared", row.shared},
                    {"rule", row.rule}});
  }
  nlohmann::json json{
      {"kind", "trace"},
      {"file", path.string()},
      {"name", trace.name},
      {"model", {{"name", info.model_name}, {"family", info.model_family}, {"config_hash", info.config_hash}}},
      {"rows", rows},
      {"tokens", trace.token_count()},
      {"sequences", sequences},
      {"physical_ids", info.physical_ids},
      {"compute_type", info.compute_type},
      {"weight_kind", info.weight_kind},
      {"known", knowledge.known},
      {"not_recorded", knowledge.unknown},
      {"tags", info.tag_names},
      {"approximate", info.approximate ? nlohmann::json(*info.approximate) : nlohmann::json()},
      {"analyses", available},
      {"unavailable", unavailable},
      {"notes", info.notes},
      {"content_hash", trace.content_hash}};
  return {std::move(facts), std::move(json)};
}

}  // namespace moescope::cli
