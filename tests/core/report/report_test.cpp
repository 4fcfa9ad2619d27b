#include "core/report/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

#include "core/figure/number_format.h"
#include "core/trace/trace_builder.h"

namespace moescope::report_test {
namespace {

// Six rows of sixteen experts, top 2, twelve sequences of `length` tokens in three domains. Expert 4 of row 3 likes
// code; the next expert follows the last one often. A small linear congruential generator draws the rest.
Trace small_trace(const std::string& name, std::size_t length = 60, std::uint32_t seed = 1, bool tagged = true) {
  auto rows = TraceBuilder::plain_rows(6, 16, 2);
  for (auto& row : rows) row.rule = "softmax, then top-2";
  TraceBuilder builder(rows, 2);
  builder.info().model_name = "test model <b>";
  builder.info().model_family = "olmoe";
  builder.info().compute_type = "float32";
  builder.info().weight_kind = "softmax, not renormalised";
  std::uint32_t state = seed;
  const auto draw = [&](std::uint32_t bound) { return (state = state * 1664525U + 1013904223U) / 65536U % bound; };
  static const std::vector<std::string> words = {" the", ",", "{", "<script>alert(1)</script>", "\n", " 12"};
  const std::vector<std::string> domains = {"prose", "code", "json & \"x\""};
  for (std::int32_t s = 0; s < 12; ++s) {
    for (std::size_t t = 0; t < length; ++t) {
      const std::uint32_t word = draw(6);
      builder.token({.id = static_cast<std::int32_t>(word), .sequence = s, .position = static_cast<std::int32_t>(t)},
                    words[word]);
      std::uint32_t last = draw(16);
      for (std::size_t r = 0; r < 6; ++r) {
        std::uint32_t first = draw(3) == 0 ? draw(16) : (last * 5 + 3) % 16;
        if (r == 3 && s % 3 == 1 && draw(2) == 0) first = 4;
        const std::uint32_t second = (first + 1 + draw(15)) % 16;
        builder.route(r, {first, second}, {0.6F, 0.3F});
        last = first;
      }
      if (tagged) builder.tag("domain", domains[static_cast<std::size_t>(s % 3)]);
      builder.token_value("loss", 2.0F + 0.01F * static_cast<float>(draw(100)));
    }
  }
  return builder.build(name);
}

Report report_of(const std::vector<std::string>& sections = {}, std::size_t traces = 1, bool tagged = true) {
  std::vector<ReportSource> sources;
  for (std::size_t i = 0; i < traces; ++i) {
    const std::string name = "step " + std::to_string(i * 100);
    sources.push_back({name, small_trace(name, 60, static_cast<std::uint32_t>(i + 1), tagged), {}});
  }
  ReportRequest request;
  request.sections = sections;
  request.notes = {{"L3·E04", "holds brackets </p><img src=x onerror=alert(1)>"}, {"", "a note of the session"}};
  request.date = "14 June 2026";
  auto report = make_report(sources, request);
  EXPECT_TRUE(report) << (report ? "" : report.error().text());
  return report ? std::move(*report) : Report{};
}

void keep(const std::string& html, const std::string& name) {
  if (const char* folder = std::getenv("MOESCOPE_FIGURES"))
    std::ofstream(std::string(folder) + "/" + name + ".html") << html;
}

std::string text_of(const ReportParagraph& paragraph) {
  std::string out;
  for (const ReportRun& run : paragraph.runs) out += run.style == ReportRun::Style::figure_link ? "figure" : run.text;
  return out;
}

const ReportSection* section(const Report& report, const std::string& id) {
  for (const ReportSection& s : report.sections)
    if (s.id == id) return &s;
  return nullptr;
}

std::string paragraphs(const Report& report, const std::string& id) {
  std::string out;
  const ReportSection* s = section(report, id);
  if (s == nullptr) return out;
  for (const ReportBlock& block : s->blocks)
    if (const auto* p = std::get_if<ReportParagraph>(&block)) out += text_of(*p) + "\n";
  return out;
}

ResultPtr data(const Report& report, const std::string& name) {
  for (const ReportData& d : report.data)
    if (d.name == name) return d.result;
  return nullptr;
}

TEST(Report, OpensWithWhatIsKnownAndUnknown) {
  const Report report = report_of();
  ASSERT_FALSE(report.sections.empty());
  EXPECT_EQ(report.sections.front().id, "recorded");
  std::map<std::string, std::string> states;
  for (const ReportBlock& block : report.sections.front().blocks)
    if (const auto* table = std::get_if<ReportTable>(&block))
      for (const auto& row : table->rows) states[row[0]] = row[1];
  EXPECT_EQ(states["Experts of each token"], "recorded");
  EXPECT_EQ(states["Gate weights"], "recorded");
  EXPECT_EQ(states["Router logits"], "not recorded");
  EXPECT_EQ(states["Output logits"], "not recorded");
  EXPECT_EQ(states["Order of ranks"], "known");
  EXPECT_EQ(states["Compute type"], "float32");
  EXPECT_EQ(states["Tags"], "recorded");
}

TEST(Report, HasEverySectionThatTheTraceAllowsAndNumbersItsFigures) {
  const Report report = report_of({}, 3);
  for (const char* id :
       {"recorded", "summary", "load", "experts", "affinity", "certainty", "loss", "comparison", "notes", "methods"})
    EXPECT_NE(section(report, id), nullptr) << id;
  int last = 0;
  std::set<std::string> keys;
  for (const ReportSection& s : report.sections) {
    EXPECT_FALSE(s.blocks.empty()) << s.id;
    for (const ReportBlock& block : s.blocks) {
      const auto* figure = std::get_if<ReportFigure>(&block);
      if (figure == nullptr) continue;
      EXPECT_EQ(figure->number, ++last);
      EXPECT_TRUE(keys.insert(figure->key).second) << figure->key;
      EXPECT_FALSE(figure->figure.caption.empty()) << figure->key;
    }
  }
  EXPECT_TRUE(keys.count("load") && keys.count("strength") && keys.count("links") && keys.count("profile") &&
              keys.count("tokens"));
}

TEST(Report, NumbersOfTheSummaryAreThoseOfTheResults) {
  const Report report = report_of();
  const std::string words = paragraphs(report, "summary");
  const ResultPtr load = data(report, "expert_load");
  ASSERT_NE(load, nullptr);
  const Table& balance = *load->table("balance");
  const auto number = [&](std::size_t r, std::size_t c) { return std::get<double>(balance.rows[r][c]); };
  double peak = 0;
  std::size_t worst = 0;
  double least = 1e9;
  double most = 0;
  for (std::size_t r = 0; r < balance.rows.size(); ++r) {
    if (number(r, 2) > peak) {
      peak = number(r, 2);
      worst = r;
    }
    least = std::min(least, number(r, 7));
    most = std::max(most, number(r, 7));
  }
  const Matrix& share = *load->matrix("share");
  std::size_t best = 0;
  for (std::size_t e = 1; e < share.columns(); ++e)
    if (share.at(worst, e) > share.at(worst, best)) best = e;
  EXPECT_NE(words.find("L" + std::to_string(worst) + " is the least even layer: its busiest expert, " +
                       share.column_names[best] + ", takes " + format_percent(share.at(worst, best))),
            std::string::npos)
      << words;
  EXPECT_NE(words.find("equivalent of " + format_number(least, 1) + " to " + format_number(most, 1)), std::string::npos)
      << words;
  EXPECT_NE(words.find("No expert is dead"), std::string::npos);

  const ResultPtr profile = data(report, "domain_profile-3");
  ASSERT_NE(profile, nullptr);
  EXPECT_NE(words.find("L3·E04 takes " + format_percent(profile->matrix("share")->at(4, 1))), std::string::npos)
      << words;

  const ResultPtr affinity = data(report, "affinity");
  ASSERT_NE(affinity, nullptr);
  const Series& information = *affinity->find_series("mutual_information");
  const double highest = *std::max_element(information.y.begin(), information.y.end());
  EXPECT_NE(words.find("tells " + format_percent(highest)), std::string::npos) << words;

  const Scalar& loss = *data(report, "token_loss")->scalar("mean");
  EXPECT_NE(words.find("The mean loss is " + format_number(loss.estimate.value, 3) + " nats"), std::string::npos)
      << words;
}

TEST(Report, WhatATraceDoesNotAllowIsLeftOutWithTheReason) {
  const Report report = report_of({}, 1, false);
  EXPECT_NE(paragraphs(report, "experts").find("Not available: the trace has no tags."), std::string::npos);
  EXPECT_EQ(paragraphs(report, "summary").find("Experts differ by"), std::string::npos);
}

TEST(Report, ContainsOnlyTheSectionsAskedForAndNoLinkToAFigureThatIsNotThere) {
  const Report report = report_of({"summary", "loss"});
  std::vector<std::string> ids;
  for (const ReportSection& s : report.sections) ids.push_back(s.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"summary", "loss"}));
  EXPECT_EQ(paragraphs(report, "summary").find("figure"), std::string::npos);
  EXPECT_EQ(paragraphs(report, "summary").find("()"), std::string::npos);
  const auto refused = make_report({{"t", small_trace("t", 5), {}}}, {"", {}, {"lode"}, ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::usage);
  EXPECT_NE(refused.error().advice.find("load"), std::string::npos);
}

TEST(Report, WithoutATraceIsAnError) {
  const auto report = build_report({});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::usage);
}

TEST(Report, ACancelStopsIt) {
  WorkContext work;
  work.cancel.cancel();
  const auto report = make_report({{"t", small_trace("t", 5), {}}}, {}, work);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::cancelled);
}

TEST(Report, AnEmptyTraceStillGivesAReport) {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 1), 1);
  const auto report = make_report({{"empty", builder.build("empty"), {}}}, {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_FALSE(report_to_html(*report).empty());
}

// Tags that must be closed are, in order; attributes are quoted; ids are unique and every inner link leads to one.
std::string html_problem(const std::string& html) {
  static const std::set<std::string> empty = {"meta", "br", "img", "!DOCTYPE"};
  std::vector<std::string> open;
  std::set<std::string> ids;
  std::set<std::string> links;
  std::size_t i = 0;
  while ((i = html.find('<', i)) != std::string::npos) {
    const std::size_t end = html.find('>', i);
    if (end == std::string::npos) return "open tag";
    const std::string tag = html.substr(i + 1, end - i - 1);
    i = end + 1;
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "open quote in " + tag.substr(0, 80);
    const std::string name = tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" /", 1) - (tag[0] == '/' ? 1 : 0));
    std::smatch match;
    static const std::regex id(" id=\"([^\"]+)\"");
    static const std::regex link(" href=\"#([^\"]+)\"");
    if (tag.size() < 400 && std::regex_search(tag, match, id) && !ids.insert(match[1]).second)
      return "id twice: " + match[1].str();
    if (tag.size() < 400 && std::regex_search(tag, match, link)) links.insert(match[1]);
    if (tag == "style") {
      i = html.find("</style>", i);
      open.push_back(name);
      continue;
    }
    if (tag[0] == '/') {
      if (open.empty() || open.back() != name)
        return "closes " + name + " inside " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
    } else if (tag.back() != '/' && empty.count(name) == 0) {
      open.push_back(name);
    }
  }
  for (const std::string& target : links)
    if (ids.count(target) == 0) return "link to nothing: " + target;
  return open.empty() ? "" : "left open: " + open.back();
}

TEST(ReportHtml, IsWellFormedSelfContainedAndAccessible) {
  const std::string html = report_to_html(report_of({}, 3));
  keep(html, "report");
  EXPECT_EQ(html_problem(html), "");
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.find("href=\"http"), std::string::npos);
  EXPECT_EQ(html.find("url(http"), std::string::npos);
  EXPECT_NE(html.find("<html lang=\"en\">"), std::string::npos);
  EXPECT_NE(html.find("role=\"img\" aria-label="), std::string::npos);
  EXPECT_NE(html.find("<th scope=\"row\">"), std::string::npos);
  EXPECT_NE(html.find("data:text/csv"), std::string::npos);
  EXPECT_NE(html.find("data:application/json"), std::string::npos);
}

TEST(ReportHtml, NothingFromATraceOrANoteBecomesMarkup) {
  const std::string html = report_to_html(report_of({}, 1));
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find("test model <b>"), std::string::npos);
  EXPECT_NE(html.find("test model &lt;b&gt;"), std::string::npos);
  EXPECT_NE(html.find("json &amp; &quot;x&quot;"), std::string::npos);
}

TEST(ReportHtml, TheSameInputGivesTheSameBytes) {
  EXPECT_EQ(report_to_html(report_of()), report_to_html(report_of()));
}

}  // namespace
}  // namespace moescope::report_test
