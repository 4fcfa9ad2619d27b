// Puts the sections together, numbers the figures and gathers caveats and data.
#include "core/report/report.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/analysis/analysis.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

bool wanted(const ReportInput& input, const std::string& id) {
  return input.sections.empty() || std::find(input.sections.begin(), input.sections.end(), id) != input.sections.end();
}

ReportSection notes_section(const std::vector<ReportNote>& notes) {
  ReportSection section{"notes", "Notes", true, {}};
  for (const ReportNote& note : notes) {
    Sentence s;
    if (!note.anchor.empty()) s.strong(note.anchor + ": ");
    section.blocks.emplace_back(s.say(note.text).done());
  }
  return section;
}

// A link to a figure of a section that was left out would lead nowhere: "(figure 3)" goes with its brackets.
void drop_dead_links(ReportSection& section, const std::set<std::string>& figures) {
  for (ReportBlock& block : section.blocks) {
    auto* paragraph = std::get_if<ReportParagraph>(&block);
    if (paragraph == nullptr) continue;
    auto& runs = paragraph->runs;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].style != ReportRun::Style::figure_link || figures.count(runs[i].text) > 0) continue;
      if (i > 0 && runs[i - 1].text.size() >= 2 && runs[i - 1].text.compare(runs[i - 1].text.size() - 2, 2, " (") == 0)
        runs[i - 1].text.resize(runs[i - 1].text.size() - 2);
      if (i + 1 < runs.size() && !runs[i + 1].text.empty() && runs[i + 1].text[0] == ')') runs[i + 1].text.erase(0, 1);
      runs[i] = {"", ReportRun::Style::plain};
    }
  }
}

void number_figures(Report& report) {
  std::set<std::string> keys;
  int number = 0;
  for (ReportSection& section : report.sections) {
    for (ReportBlock& block : section.blocks) {
      auto* figure = std::get_if<ReportFigure>(&block);
      if (figure == nullptr) continue;
      figure->number = ++number;
      keys.insert(figure->key);
    }
  }
  for (ReportSection& section : report.sections) drop_dead_links(section, keys);
}

void gather(const ReportTrace& trace, const std::string& prefix, Report& report) {
  for (const auto& [key, result] : trace.results) {
    if (!result) continue;
    std::string name = prefix + key;
    std::replace(name.begin(), name.end(), '/', '-');
    report.data.push_back({name, result});
    // Several Results of one analysis say much the same: each sentence once, under the analysis's name.
    const AnalysisSpec* spec = find_analysis(result->provenance.analysis);
    const std::string title = spec != nullptr ? spec->title : result->title;
    for (const std::string& caveat : result->caveats) {
      std::string sentence = title;
      sentence.append(": ").append(caveat);
      if (std::find(report.caveats.begin(), report.caveats.end(), sentence) == report.caveats.end())
        report.caveats.push_back(std::move(sentence));
    }
  }
}

}  // namespace

const std::vector<ReportSectionInfo>& report_sections() {
  static const std::vector<ReportSectionInfo> sections = {
      {"recorded", "What was recorded", "What the trace knows and what it does not."},
      {"summary", "Summary", "One sentence for each finding, with its numbers."},
      {"load", "Load of experts", "Heat map of load and how even it is."},
      {"experts", "What experts do", "Experts by domain, and their tokens."},
      {"affinity", "Affinity between layers", "What the expert of one layer tells about the next."},
      {"certainty", "Certainty of the routers", "Routing entropy and margins."},
      {"loss", "Loss", "Loss of the model on this text."},
      {"comparison", "Comparison of traces", "Measures trace by trace, when there are several."},
      {"notes", "Notes", "Notes of the session."},
      {"methods", "Methods and formulas", "Formulas, parameters and commands."},
      {"data", "Data behind the figures", "CSV and JSON of every Result, inside the file."},
  };
  return sections;
}

Expected<Report> build_report(const ReportInput& input) {
  if (input.traces.empty()) return fail(ErrorKind::usage, "a report needs a trace", "", "Open or name a trace first.");
  for (const ReportTrace& t : input.traces)
    if (!t.trace.info)
      return fail(ErrorKind::input, "the trace does not describe its routers", t.name,
                  "Record or convert the trace again.");
  for (const std::string& id : input.sections) {
    const auto& known = report_sections();
    if (std::none_of(known.begin(), known.end(), [&](const auto& s) { return s.id == id; })) {
      std::vector<std::string> ids;
      ids.reserve(known.size());
      for (const auto& s : known) ids.push_back(s.id);
      return fail(ErrorKind::usage, "there is no section \"" + id + "\" in a report", "sections",
                  "Choose among " + join_words(ids) + ".");
    }
  }
  const ReportTrace& subject = input.traces.front();
  Report report;
  const std::string model = subject.trace.info->model_name.empty() ? subject.name : subject.trace.info->model_name;
  report.title = input.title.empty() ? "Routing study of " + model : input.title;
  report.subtitle = subtitle_of(subject);
  report.measured_on = measured_on(input);
  if (wanted(input, "load")) {
    if (auto table = balance_table(subject)) report.side_tables.push_back(std::move(*table));
  }
  if (subject.trace.info->approximate)
    report.caveats.push_back("The routes are approximate: " + *subject.trace.info->approximate + ".");
  for (std::size_t i = 0; i < input.traces.size(); ++i)
    gather(input.traces[i], i == 0 ? "" : input.traces[i].name + " ", report);

  if (wanted(input, "recorded")) report.sections.push_back(recorded_section(subject));
  ReportSection summary{"summary", "Summary", true, {}};
  std::vector<ReportSection> rest;
  const auto add = [&](Draft draft) {
    if (!draft || !wanted(input, draft->section.id)) return;
    for (ReportParagraph& p : draft->summary) summary.blocks.emplace_back(std::move(p));
    rest.push_back(std::move(draft->section));
  };
  add(load_section(subject));
  add(experts_section(subject));
  add(affinity_section(subject));
  add(certainty_section(subject));
  add(loss_section(subject));
  add(comparison_section(input.traces));
  if (wanted(input, "summary") && !summary.blocks.empty()) report.sections.push_back(std::move(summary));
  for (ReportSection& section : rest) {
    if (section.blocks.empty()) continue;
    report.sections.push_back(std::move(section));
  }
  if (wanted(input, "notes") && !input.notes.empty()) report.sections.push_back(notes_section(input.notes));
  if (wanted(input, "methods")) report.sections.push_back(methods_section(report.data));
  if (!wanted(input, "data")) report.data.clear();
  number_figures(report);
  return report;
}

}  // namespace moescope
