// What experts do: who takes which domain, and on which tokens.
#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/ids.h"
#include "core/figure/expert_card_figures.h"
#include "core/figure/series_figure.h"
#include "core/figure/utf8.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

constexpr double fewest_slots = 10;

std::string label_of(const Trace& trace, std::uint32_t row, std::uint32_t expert) {
  const int layer = row < trace.rows().size() ? trace.rows()[row].layer : static_cast<int>(row);
  return expert_label(layer, expert);
}

const Matrix* profile_of(const ReportTrace& trace, std::uint32_t row, const char* name) {
  const ResultPtr result = find_result(trace, "domain_profile/" + std::to_string(row));
  return result ? find_matrix(*result, name) : nullptr;
}

ReportParagraph leader_sentence(const ReportTrace& trace, const Specialist& s) {
  const Matrix& share = *profile_of(trace, s.row, "share");
  Sentence out;
  out.say("Experts differ by " + share.column_axis + ": " + label_of(trace.trace, s.row, s.expert) + " takes ");
  out.strong(format_percent(s.share));
  if (has_interval(share, s.expert, s.value))
    out.say(format_interval(low_of(share, s.expert, s.value) * 100, high_of(share, s.expert, s.value) * 100, 1));
  out.say(" of " + share.column_names[s.value] + " slots");
  std::size_t least = s.value;
  for (std::size_t v = 0; v < share.columns(); ++v)
    if (present(share, s.expert, v) && share.at(s.expert, v) < share.at(s.expert, least)) least = v;
  if (least != s.value)
    out.say(" and ").strong(format_percent(share.at(s.expert, least))).say(" of " + share.column_names[least]);
  out.say(", where an even spread gives " + format_percent(1.0 / static_cast<double>(share.rows()), 2) + " (")
      .figure("profile")
      .say(").");
  return out.done();
}

// In how many layers the tag tells about the expert, beyond the shuffles' 99th percentile.
std::optional<ReportParagraph> information_sentence(const Result& profile, const std::string& tag) {
  const Series* information = find_line(profile, "information");
  const Series* null = find_line(profile, "information_null");
  if (information == nullptr || null == nullptr || null->high.size() != information->y.size()) return std::nullopt;
  std::size_t above = 0;
  std::size_t counted = 0;
  for (std::size_t i = 0; i < information->y.size(); ++i) {
    if (!std::isfinite(information->y[i]) || !std::isfinite(null->high[i])) continue;
    ++counted;
    above += information->y[i] > null->high[i] ? 1 : 0;
  }
  if (counted == 0) return std::nullopt;
  const Extremes e = extremes(information->y);
  Sentence s;
  s.say("The " + tag + " of a token tells about its experts more than 99\u202F% of shuffled tags do in ")
      .strong(std::to_string(above) + " of " + std::to_string(counted));
  s.say(" layers; most in ").strong(x_name(*information, e.most));
  s.say(", " + format_number(e.high, 3) + " nats (").figure("information").say(").");
  return s.done();
}

// Which layers were profiled, when not all were.
std::optional<ReportParagraph> profiled_sentence(const ReportTrace& trace) {
  std::vector<std::string> layers;
  const auto& rows = trace.trace.rows();
  for (std::uint32_t row = 0; row < rows.size(); ++row)
    if (profile_of(trace, row, "share") != nullptr) layers.push_back("L" + std::to_string(rows[row].layer));
  if (layers.size() == rows.size()) return std::nullopt;
  return Sentence()
      .say("The experts of ")
      .strong(std::to_string(layers.size()) + " of " + std::to_string(rows.size()))
      .say(" layers were profiled: " + join_words(layers) + ". Others may have stronger specialists.")
      .done();
}

ReportTable specialist_table(const ReportTrace& trace, const std::vector<Specialist>& leaders) {
  ReportTable table;
  table.title = "The expert that takes most of each";
  table.columns = {{"tag", false},      {"expert", false}, {"share of its slots", true},
                   {"95\u202F%", true}, {"lift", true},    {"n", true}};
  for (const Specialist& s : leaders) {
    const Matrix& share = *profile_of(trace, s.row, "share");
    const Matrix* lift = profile_of(trace, s.row, "lift");
    std::string interval = "–";
    if (has_interval(share, s.expert, s.value))
      interval = format_number(low_of(share, s.expert, s.value) * 100, 1) + " to " +
                 format_number(high_of(share, s.expert, s.value) * 100, 1);
    const bool has_lift =
        lift != nullptr && s.expert < lift->rows() && s.value < lift->columns() && present(*lift, s.expert, s.value);
    table.rows.push_back({share.column_names[s.value], label_of(trace.trace, s.row, s.expert), format_percent(s.share),
                          interval, has_lift ? format_number(lift->at(s.expert, s.value), 2) : "–",
                          format_count(cell_n(share, s.expert, s.value))});
  }
  table.note = "Lift is the share over the expert's share of all tagged tokens; n counts slots.";
  return table;
}

}  // namespace

std::vector<Specialist> specialists(const ReportTrace& trace) {
  std::vector<Specialist> best;
  for (std::uint32_t row = 0; row < trace.trace.rows().size(); ++row) {
    const Matrix* share = profile_of(trace, row, "share");
    if (share == nullptr) continue;
    best.resize(std::max(best.size(), share->columns()));
    for (std::size_t v = 0; v < share->columns(); ++v) {
      for (std::size_t e = 0; e < share->rows(); ++e) {
        // A handful of slots is no specialisation.
        if (!present(*share, e, v) || share->at(e, v) <= best[v].share || cell_n(*share, e, v) < fewest_slots) continue;
        best[v] = {row, static_cast<std::uint32_t>(e), v, share->at(e, v)};
      }
    }
  }
  std::erase_if(best, [](const Specialist& s) { return s.share <= 0; });
  return best;
}

Draft experts_section(const ReportTrace& trace) {
  SectionDraft draft{{"experts", "What experts do", true, {}}, {}};
  std::vector<Specialist> leaders = specialists(trace);
  if (leaders.empty()) {
    const auto why = why_not(trace, "domain_profile");
    if (!why) return std::nullopt;
    draft.section.blocks.emplace_back(*why);
    return draft;
  }
  const Specialist leader = *std::max_element(
      leaders.begin(), leaders.end(), [](const Specialist& a, const Specialist& b) { return a.share < b.share; });
  const ResultPtr profile = find_result(trace, "domain_profile/" + std::to_string(leader.row));
  const Matrix& share = *find_matrix(*profile, "share");
  draft.summary.push_back(leader_sentence(trace, leader));
  if (const auto partial = profiled_sentence(trace)) draft.section.blocks.emplace_back(*partial);
  if (const auto told = information_sentence(*profile, share.column_axis)) draft.section.blocks.emplace_back(*told);
  draft.section.blocks.emplace_back(specialist_table(trace, leaders));
  DomainProfileOptions options;
  options.expert = leader.expert;
  const double bars = static_cast<double>(std::min<std::size_t>(share.columns(), 16));
  Figure figure = domain_profile_figure(profile, options, text_column, 34 + bars * 22);
  const std::string label = label_of(trace.trace, leader.row, leader.expert);
  figure.title = "Share of each " + share.column_axis + "'s slots that " + label + " takes";
  figure.caption = figure.title + ". Dashed: the even share, " +
                   format_percent(1.0 / static_cast<double>(share.rows()), 2) + "." + n_sentence(*profile);
  draft.section.blocks.emplace_back(ReportFigure{"profile", 0, std::move(figure), profile});
  const std::string key = "expert_tokens/" + std::to_string(leader.row) + "." + std::to_string(leader.expert);
  if (const ResultPtr tokens = find_result(trace, key);
      tokens && find_table(*tokens, "tokens") != nullptr && !find_table(*tokens, "tokens")->rows.empty()) {
    const double rows = static_cast<double>(std::min<std::size_t>(find_table(*tokens, "tokens")->rows.size(), 12));
    draft.section.blocks.emplace_back(
        ReportFigure{"tokens", 0, top_tokens_figure(tokens, text_column, rows * 20), tokens});
  } else if (const auto why = why_not(trace, "expert_tokens")) {
    draft.section.blocks.emplace_back(Sentence().say("Tokens of the expert: ").say(why->runs.front().text).done());
  }
  if (find_line(*profile, "information") != nullptr) {
    SeriesOptions series;
    series.names = {"information", "information_null"};
    series.rows_on_x = true;
    series.value_labels = true;
    series.labels = {{"information", "measured"}, {"information_null", "tags shuffled"}};
    series.y_title = "nats";
    series.x_title = "layer";
    series.title = "Information between " + share.column_axis + " and expert";
    Figure chart = series_figure(profile, series, text_column, 210);
    chart.caption = series.title + ". Grey: shuffled tags, 1st to 99th percentile." + n_sentence(*profile);
    draft.section.blocks.emplace_back(ReportFigure{"information", 0, std::move(chart), profile});
  }
  return draft;
}

}  // namespace moescope
