// Report: Results made readable, as a document without a toolkit: headings, sentences, figures, tables, captions,
// provenance. The HTML writer here and the PDF painter of the desktop draw the same document from the same Figures.
// Called by the workbench and the command line, on any thread. Every number in a sentence is read from a Result.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/figure/figure.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

// A run of a paragraph. A link names a figure by its key; writers show it as "figure 3".
struct ReportRun {
  enum class Style : unsigned char { plain, strong, figure_link };
  std::string text;
  Style style = Style::plain;
};
struct ReportParagraph {
  std::vector<ReportRun> runs;
};
struct ReportFigure {
  std::string key;  // "load", unique in the report
  int number = 0;   // from 1, in order of appearance
  Figure figure;
  ResultPtr data;     // for CSV; null = none
  bool half = false;  // half as wide as the text: two in a row stand side by side
};
struct ReportTable {
  struct Column {
    std::string name;
    bool number = false;  // right-aligned, in the mono face
  };
  std::string title, note;
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // cells as they are shown; the first column heads its row
};
using ReportBlock = std::variant<ReportParagraph, ReportFigure, ReportTable>;

struct ReportSection {
  std::string id, title;
  bool numbered = true;  // methods and data are not
  std::vector<ReportBlock> blocks;
};
// A Result that the report carries whole.
struct ReportData {
  std::string name;  // file name without ending: "expert_load"
  ResultPtr result;
};

struct Report {
  std::string title, subtitle;
  std::vector<std::pair<std::string, std::string>> measured_on;  // provenance, shown at the side
  std::vector<std::string> caveats;
  std::vector<ReportTable> side_tables;
  std::vector<ReportSection> sections;
  std::vector<ReportData> data;
};

// One trace of a report and what was computed from it. Keys of `results` are names of analyses; where there are
// several of one, "/" and a parameter follow: "domain_profile/3", "expert_tokens/3.4" (row, row and expert).
struct ReportTrace {
  std::string name;
  Trace trace;
  std::string filter;
  std::map<std::string, ResultPtr> results;
  std::map<std::string, std::string> unavailable;  // analysis -> why it could not run
};
struct ReportNote {
  std::string anchor, text;
};
struct ReportInput {
  std::string title;                // empty = from the first trace
  std::vector<ReportTrace> traces;  // the first is the subject; more give a comparison, in this order
  std::vector<ReportNote> notes;
  std::vector<std::string> sections;  // ids to include; empty = all
  std::string date;                   // as shown; empty = none, so that the same input gives the same bytes
};

// The sections there can be, in order, for a preview with check boxes.
struct ReportSectionInfo {
  std::string id, title, help;
};
[[nodiscard]] MOESCOPE_API const std::vector<ReportSectionInfo>& report_sections();

// The document. Errors (usage): no trace, or a section id that does not exist.
[[nodiscard]] MOESCOPE_API Expected<Report> build_report(const ReportInput& input);

// Runs the analyses that the sections need and builds the report; an analysis that this trace does not allow is left
// out, and the report says why. Errors: cancelled, or what build_report() says.
struct ReportSource {
  std::string name;
  Trace trace;
  AppliedFilter filter;
};
struct ReportRequest {
  std::string title;
  std::vector<ReportNote> notes;
  std::vector<std::string> sections;
  std::string date;
};
[[nodiscard]] MOESCOPE_API Expected<Report> make_report(const std::vector<ReportSource>& sources,
                                                        const ReportRequest& request, const WorkContext& work = {});

// One self-contained HTML file: no network, no script; figures are SVG with their data as links. Light only; prints.
[[nodiscard]] MOESCOPE_API std::string report_to_html(const Report& report);

}  // namespace moescope
