// What is known and unknown about a trace: the report's first section and the card at its side.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/version.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

template <typename Test>
bool every_segment(const Trace& trace, Test test) {
  return !trace.segments.empty() &&
         std::all_of(trace.segments.begin(), trace.segments.end(), [&](const auto& s) { return test(*s); });
}

// "16" or "8 to 16".
template <typename Number>
std::string span_words(const Trace& trace, Number number) {
  std::set<std::uint32_t> seen;
  for (const RouterRow& row : trace.rows()) seen.insert(number(row));
  if (seen.empty()) return "0";
  const std::string low = std::to_string(*seen.begin());
  return seen.size() == 1 ? low : low + " to " + std::to_string(*seen.rbegin());
}

std::string k_words(const Trace& trace) {
  const std::string k = span_words(trace, [](const RouterRow& r) { return r.k; });
  return k == "0" ? "k not known" : "top-" + k;
}

std::string tag_words(const Trace& trace) {
  std::vector<std::string> words;
  for (const auto& [name, values] : trace.info->tag_names) {
    std::vector<std::string> shown(
        values.begin(), values.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(8, values.size())));
    words.push_back(name + " (" + join_words(shown) + (values.size() > 8 ? ", …" : "") + ")");
  }
  return join_words(words);
}

std::size_t sequences_of(const Trace& trace) {
  std::set<std::int32_t> seen;
  for (const auto& s : trace.segments) seen.insert(s->sequence_ids.values.begin(), s->sequence_ids.values.end());
  return seen.size();
}

std::string rules(const Trace& trace) {
  std::set<std::string> words;
  for (const RouterRow& row : trace.rows())
    if (!row.rule.empty()) words.insert(row.rule);
  if (words.empty()) return "";
  return words.size() == 1 ? *words.begin() : *words.begin() + ", and " + std::to_string(words.size() - 1) + " others";
}

}  // namespace

std::string subtitle_of(const ReportTrace& t) {
  const Trace& trace = t.trace;
  std::string out = std::to_string(trace.rows().size()) + " layers × " +
                    span_words(trace, [](const RouterRow& r) { return r.experts; }) + " experts, " + k_words(trace);
  if (trace.token_count() > 0) out += " · " + format_count(static_cast<double>(trace.token_count())) + " tokens";
  if (const std::size_t n = sequences_of(trace); n > 0)
    out += " in " + format_count(static_cast<double>(n)) + (n == 1 ? " sequence" : " sequences");
  for (const auto& [name, values] : trace.info->tag_names)
    if (name == "domain") out += ", " + std::to_string(values.size()) + " domains";
  return out + " · " + t.name;
}

ReportSection recorded_section(const ReportTrace& t) {
  const Trace& trace = t.trace;
  const TraceInfo& info = *trace.info;
  ReportTable table;
  table.columns = {{"What", false}, {"State", false}, {"Remark", false}};
  std::size_t missing = 0;
  const auto row = [&](const std::string& what, bool known, const std::string& remark,
                       const std::string& otherwise = {}) {
    table.rows.push_back({what, known ? "recorded" : "not recorded", known ? remark : otherwise});
    missing += known ? 0 : 1;
  };
  const bool ids = trace.has_ids();
  row("Experts of each token", ids, info.physical_ids ? "physical ids: places of replicas, not experts" : "logical ids",
      trace.counts.empty() ? "" : "counts per expert only, so nothing is known about single tokens");
  if (ids)
    table.rows.push_back({"Order of ranks", info.rank_order ? "known" : "not known",
                          info.rank_order ? "the first slot is the first choice"
                                          : "slots are in no order; results that need the first choice are left out"});
  row("Gate weights", trace.has_gate_weights(), info.weight_kind);
  row("Router logits", trace.has_router_logits(), "entropy and margins are over all experts",
      "entropy is among the chosen experts only");
  row("Output logits", every_segment(trace, [](const Segment& s) { return !s.output_logits.empty(); }), "");
  row("Loss per token", trace.has_token_value("loss"), "");
  row("Token ids", every_segment(trace, [](const Segment& s) { return !s.token_ids.empty(); }), "");
  row("Text", !trace.text.empty(), format_count(static_cast<double>(trace.text.size())) + " bytes",
      trace.vocabulary.empty() ? "" : "tokens are shown from the vocabulary");
  row("Sequences", every_segment(trace, [](const Segment& s) { return !s.sequence_ids.empty(); }),
      format_count(static_cast<double>(sequences_of(trace))) + " sequences",
      "no intervals; shuffles run over the whole trace");
  row("Positions", every_segment(trace, [](const Segment& s) { return !s.positions.empty(); }), "");
  row("Tags", !info.tag_names.empty(), tag_words(trace));
  table.rows.push_back({"Compute type", info.compute_type.empty() ? "not known" : info.compute_type,
                        info.compute_type == "bfloat16" ? "rounding changes some routes against float32" : ""});
  table.rows.push_back({"Router rule", rules(trace).empty() ? "not known" : "known", rules(trace)});
  std::map<std::string, std::string> steps;
  ReportSection section{"recorded", "What was recorded", true, {}};
  Sentence lead;
  lead.say("The trace holds ")
      .strong(trace.token_count() > 0 ? format_count(static_cast<double>(trace.token_count())) + " tokens"
                                      : "counts per expert");
  lead.say(" at ").strong(std::to_string(trace.rows().size()) + " routers").say(" of ");
  lead.say(info.model_name.empty() ? "a model whose name is not known" : info.model_name);
  lead.say(missing == 0   ? ". Nothing that this report uses is missing."
           : missing == 1 ? ". 1 kind of data was not recorded; what needs it is left out, never shown as zero."
                          : ". " + std::to_string(missing) +
                                " kinds of data were not recorded; what needs them is left out, never shown as zero.");
  section.blocks.emplace_back(lead.done());
  if (info.approximate)
    section.blocks.emplace_back(
        Sentence().strong("These routes are approximate: ").say(*info.approximate + ".").done());
  section.blocks.emplace_back(std::move(table));
  for (const std::string& note : info.notes) section.blocks.emplace_back(plain("Noted by the reader: " + note));
  return section;
}

std::vector<std::pair<std::string, std::string>> measured_on(const ReportInput& input) {
  const ReportTrace& t = input.traces.front();
  const TraceInfo& info = *t.trace.info;
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](const char* name, const std::string& value) {
    out.emplace_back(name, value.empty() ? "not known" : value);
  };
  add("Trace", t.name);
  add("Hash", t.trace.content_hash.size() > 20 ? t.trace.content_hash.substr(0, 8) + " … " +
                                                     t.trace.content_hash.substr(t.trace.content_hash.size() - 6)
                                               : t.trace.content_hash);
  add("Model", info.model_name);
  add("Family", info.model_family);
  add("Compute", info.compute_type);
  add("Router", rules(t.trace));
  add("Recorded by", info.source_tool);
  add("Filter", t.filter.empty() ? "none" : t.filter);
  add("Program", std::string("MoEScope ") + version_text);
  if (!input.date.empty()) add("Date", input.date);
  return out;
}

}  // namespace moescope
