// What the section builders of this folder share. Not for use outside core/report.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/figure/number_format.h"
#include "core/figure/result_access.h"
#include "core/report/report.h"

namespace moescope {

inline constexpr double text_column = 720;  // pixels: width of the text and of figures

// Sentences, with numbers in bold and links to figures.
class Sentence {
 public:
  Sentence& say(const std::string& text) { return add(text, ReportRun::Style::plain); }
  Sentence& strong(const std::string& text) { return add(text, ReportRun::Style::strong); }
  Sentence& figure(const std::string& key) { return add(key, ReportRun::Style::figure_link); }
  [[nodiscard]] ReportParagraph done() { return std::move(paragraph_); }

 private:
  Sentence& add(const std::string& text, ReportRun::Style style) {
    paragraph_.runs.push_back({text, style});
    return *this;
  }
  ReportParagraph paragraph_;
};
[[nodiscard]] inline ReportParagraph plain(const std::string& text) {
  return Sentence().say(text).done();
}

// A section and what it adds to the summary; no section when there is nothing to say.
struct SectionDraft {
  ReportSection section;
  std::vector<ReportParagraph> summary;
};
using Draft = std::optional<SectionDraft>;

[[nodiscard]] inline ResultPtr find_result(const ReportTrace& trace, const std::string& key) {
  const auto it = trace.results.find(key);
  return it == trace.results.end() ? nullptr : it->second;
}
// A sentence in place of a section's figures: "Not available: the trace did not record …".
[[nodiscard]] inline std::optional<ReportParagraph> why_not(const ReportTrace& trace, const std::string& analysis) {
  const auto it = trace.unavailable.find(analysis);
  if (it == trace.unavailable.end()) return std::nullopt;
  return plain("Not available: the trace " + it->second + ".");
}

// Smallest and largest finite value and where they are.
struct Extremes {
  std::size_t least = 0, most = 0;
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  [[nodiscard]] bool any() const { return high >= low; }
};
[[nodiscard]] Extremes extremes(const std::vector<double>& values);
// What a point's x is called: its name where it has one, else its number.
[[nodiscard]] inline std::string x_name(const Series& s, std::size_t i) {
  return s.x_names.empty() ? format_short(s.x[i]) : s.x_names[i];
}
// "a and b", "a, b and c".
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);
[[nodiscard]] std::vector<std::string> names_of_rows(const Trace& trace);

[[nodiscard]] ReportSection recorded_section(const ReportTrace& trace);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> measured_on(const ReportInput& input);
[[nodiscard]] std::string subtitle_of(const ReportTrace& trace);
[[nodiscard]] Draft load_section(const ReportTrace& trace);
[[nodiscard]] std::optional<ReportTable> balance_table(const ReportTrace& trace);
[[nodiscard]] Draft experts_section(const ReportTrace& trace);
[[nodiscard]] Draft affinity_section(const ReportTrace& trace);
[[nodiscard]] Draft certainty_section(const ReportTrace& trace);
[[nodiscard]] Draft loss_section(const ReportTrace& trace);
[[nodiscard]] Draft comparison_section(const std::vector<ReportTrace>& traces);
[[nodiscard]] ReportSection methods_section(const std::vector<ReportData>& data);

// The expert that takes the largest share of one tag value's slots, over the rows that were profiled.
struct Specialist {
  std::uint32_t row = 0, expert = 0;
  std::size_t value = 0;
  double share = 0;
};
[[nodiscard]] std::vector<Specialist> specialists(const ReportTrace& trace);

}  // namespace moescope
