// HTML writer. Everything that comes from a trace, a model or a user passes through escape_markup(); data links are
// base64, so nothing inside them can end an attribute.
#include <fmt/format.h>

#include <map>

#include "core/base/version.h"
#include "core/figure/utf8.h"
#include "core/report/base64.h"
#include "core/report/report.h"
#include "core/report/report_style.h"

namespace moescope {
namespace {

// Past this size a Result's data would make the file heavy; the command beside it gives the data again.
constexpr std::size_t most_data = 8U << 20U;

// A name that is safe as a file name and as an id.
std::string safe_name(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out.push_back(plain ? c : '-');
  }
  return out.empty() ? "data" : out;
}

std::string data_link(const std::string& label, const std::string& file, const char* type, const std::string& bytes) {
  if (bytes.size() > most_data) return {};
  return fmt::format("<a download=\"{}\" href=\"data:{};base64,{}\">{}</a>", escape_markup(file), type, base64(bytes),
                     label);
}

class HtmlWriter {
 public:
  explicit HtmlWriter(const Report& report) : report_(report) {
    for (const ReportSection& section : report.sections)
      for (const ReportBlock& block : section.blocks)
        if (const auto* f = std::get_if<ReportFigure>(&block)) figures_[f->key] = f->number;
  }

  std::string write() {
    out_ =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
        "data:\">\n";
    out_ += fmt::format(
        "<meta name=\"generator\" content=\"MoEScope {}\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
        version_text, escape_markup(report_.title), report_css);
    out_ += "<a class=\"skip\" href=\"#main\">Skip to the text</a>\n<div class=\"page\">\n";
    contents();
    out_ += "<main id=\"main\">\n<h1>" + escape_markup(report_.title) + "</h1>\n<p class=\"subtitle\">" +
            escape_markup(report_.subtitle) + "</p>\n";
    int number = 0;
    for (const ReportSection& s : report_.sections) section(s, s.numbered ? ++number : 0);
    data();
    out_ += "</main>\n";
    side();
    out_ += "</div>\n</body>\n</html>\n";
    return std::move(out_);
  }

 private:
  void contents() {
    out_ += "<nav aria-label=\"Contents\"><h2>Contents</h2><ul>\n";
    int number = 0;
    for (const ReportSection& s : report_.sections)
      out_ += fmt::format("<li><span>{}</span><a href=\"#{}\">{}</a></li>\n",
                          s.numbered ? std::to_string(++number) : "", safe_name(s.id), escape_markup(s.title));
    if (!report_.data.empty()) out_ += "<li><span></span><a href=\"#data\">Data behind the figures</a></li>\n";
    out_ += "</ul><p>One file, no network. Every figure carries its data.</p></nav>\n";
  }

  void section(const ReportSection& s, int number) {
    const std::string id = safe_name(s.id);
    out_ += fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-head\">\n<h2 id=\"{0}-head\">{1}{2}</h2>\n", id,
                        number > 0 ? std::to_string(number) + "&ensp;" : "", escape_markup(s.title));
    for (const ReportBlock& block : s.blocks) std::visit([this](const auto& b) { write_block(b); }, block);
    out_ += "</section>\n";
  }

  void write_block(const ReportParagraph& p) {
    out_ += "<p>";
    for (const ReportRun& run : p.runs) {
      if (run.style == ReportRun::Style::strong) {
        out_ += "<strong>" + escape_markup(run.text) + "</strong>";
      } else if (run.style == ReportRun::Style::figure_link && figures_.count(run.text) > 0) {
        out_ += fmt::format("<a href=\"#figure-{0}\">figure {0}</a>", figures_.at(run.text));
      } else if (run.style == ReportRun::Style::plain) {
        out_ += escape_markup(run.text);
      }
    }
    out_ += "</p>\n";
  }

  void write_block(const ReportFigure& f) {
    const std::string file = safe_name("figure-" + std::to_string(f.number) + "-" + f.key);
    out_ += fmt::format("<figure id=\"figure-{}\"{}>\n{}\n<figcaption><b>Figure {}.</b> {} <span class=\"links\">",
                        f.number, f.half ? " class=\"half\"" : "", figure_to_svg(f.figure, Theme::light, false),
                        f.number, escape_markup(f.figure.caption));
    out_ += data_link("SVG", file + ".svg", "image/svg+xml", figure_to_svg(f.figure, Theme::light, true));
    if (f.data) out_ += " " + data_link("CSV", file + ".csv", "text/csv;charset=utf-8", result_to_csv(*f.data));
    out_ += "</span></figcaption>\n</figure>\n";
  }

  void write_block(const ReportTable& t) { table(t, !t.title.empty()); }

  void table(const ReportTable& t, bool titled) {
    out_ += "<table>";
    if (titled) out_ += "<caption>" + escape_markup(t.title) + "</caption>";
    out_ += "<thead><tr>";
    for (const auto& c : t.columns)
      out_ += fmt::format("<th scope=\"col\"{}>{}</th>", c.number ? " class=\"num\"" : "", escape_markup(c.name));
    out_ += "</tr></thead>\n<tbody>";
    for (const auto& row : t.rows) {
      out_ += "<tr>";
      for (std::size_t c = 0; c < row.size(); ++c) {
        const bool number = c < t.columns.size() && t.columns[c].number;
        if (c == 0) {
          out_ += "<th scope=\"row\">" + escape_markup(row[c]) + "</th>";
          continue;
        }
        const bool off = row[c] == "not recorded" || row[c] == "not known";
        const bool command = c < t.columns.size() && t.columns[c].name == "Command";
        const std::string words = escape_markup(row[c]);
        out_ += fmt::format("<td{}>{}</td>",
                            number ? " class=\"num\""
                            : off  ? " class=\"off\""
                                   : "",
                            command ? "<code>" + words + "</code>" : words);
      }
      out_ += "</tr>\n";
    }
    out_ += "</tbody></table>\n";
    if (!t.note.empty()) out_ += "<p class=\"note\">" + escape_markup(t.note) + "</p>\n";
  }

  void data() {
    if (report_.data.empty()) return;
    out_ +=
        "<section id=\"data\" aria-labelledby=\"data-head\">\n<h2 id=\"data-head\">Data behind the figures</h2>\n"
        "<p>Complete Results with units, n, intervals, absence and provenance.</p>\n"
        "<table><thead><tr><th scope=\"col\">Result</th><th scope=\"col\">Title</th><th scope=\"col\" class=\"num\">n, "
        "tokens</th>"
        "<th scope=\"col\">Files</th></tr></thead>\n<tbody>";
    for (const ReportData& d : report_.data) {
      const std::string file = safe_name(d.name);
      const std::string csv = data_link("CSV", file + ".csv", "text/csv;charset=utf-8", result_to_csv(*d.result));
      const std::string json =
          data_link("JSON", file + ".json", "application/json",
                    result_to_json(*d.result).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      out_ +=
          fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"num\">{}</td><td>{} {}</td></tr>\n",
                      escape_markup(d.name), escape_markup(d.result->title), d.result->provenance.tokens, csv, json);
    }
    out_ += "</tbody></table>\n</section>\n";
  }

  void side() {
    out_ += "<aside aria-label=\"Provenance and caveats\">\n<div class=\"card\"><h2>Measured on</h2><dl>";
    for (const auto& [name, value] : report_.measured_on)
      out_ += "<dt>" + escape_markup(name) + "</dt><dd>" + escape_markup(value) + "</dd>";
    out_ += "</dl></div>\n";
    if (!report_.caveats.empty()) {
      out_ += "<div class=\"card\"><h2>Caveats</h2>";
      for (const std::string& caveat : report_.caveats) out_ += "<p>" + escape_markup(caveat) + "</p>";
      out_ += "</div>\n";
    }
    for (const ReportTable& t : report_.side_tables) {
      out_ += "<div class=\"card\"><h2>" + escape_markup(t.title) + "</h2>";
      table(t, false);
      out_ += "</div>\n";
    }
    out_ += "</aside>\n";
  }

  const Report& report_;
  std::map<std::string, int> figures_;
  std::string out_;
};

}  // namespace

std::string report_to_html(const Report& report) {
  return HtmlWriter(report).write();
}

}  // namespace moescope
