// report: traces made readable, as one self-contained HTML file.
#include <fmt/format.h>

#include <array>
#include <ctime>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/open_input.h"
#include "core/io/output_file.h"
#include "core/report/report.h"

namespace moescope::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> traces, sections, notes;
  std::string out, title, tokens, date;
  bool list = false;
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

Expected<std::vector<ReportSource>> open_sources(const ReportOptions& options) {
  std::vector<ReportSource> sources;
  for (const std::string& path : options.traces) {
    const auto trace = open_trace(path);
    if (!trace) return fail(trace.error());
    auto filter = apply_filter(**trace, options.tokens);
    if (!filter) return fail(std::move(filter.error()));
    sources.push_back({(*trace)->name, **trace, std::move(*filter)});
  }
  return sources;
}

// "L3·E04=The Python expert": a note and, before the first '=', what it is about.
ReportNote as_note(const std::string& text) {
  const std::size_t equals = text.find('=');
  return equals == std::string::npos ? ReportNote{"", text}
                                     : ReportNote{text.substr(0, equals), text.substr(equals + 1)};
}

Expected<void> run_report(const ReportOptions& options) {
  if (options.list) {
    std::string out;
    for (const ReportSectionInfo& section : report_sections()) {
      out += fmt::format("{}  {}\n    {}\n", section.id, section.title, section.help);
    }
    return print(out);
  }
  if (options.traces.empty() || options.out.empty()) {
    return fail(ErrorKind::usage, "a trace and --out are needed", "report", "Or --list, for the sections there are");
  }
  const std::string suffix = std::filesystem::path(options.out).extension().string();
  if (suffix == ".pdf") {
    return fail(ErrorKind::usage, "the command line writes HTML only", "--out",
                "For PDF: moescope TRACE --report " + options.out);
  }
  if (suffix != ".html" && suffix != ".htm") {
    return fail(ErrorKind::usage, fmt::format("the suffix \"{}\" is no known kind of report", suffix), "--out",
                "Use .html");
  }
  const auto sources = open_sources(options);
  if (!sources) return fail(sources.error());
  ReportRequest request;
  request.title = options.title;
  request.sections = options.sections;
  request.date = options.date.empty() ? today() : options.date;
  for (const std::string& text : options.notes) request.notes.push_back(as_note(text));
  const auto report = [&] {
    const ProgressBar bar("Report");
    return make_report(*sources, request, bar.work());
  }();
  if (!report) return fail(report.error());
  const std::string html = report_to_html(*report);
  if (auto ok = write_whole_file(options.out, html); !ok) return ok;
  note(fmt::format("{}: {} sections, {}", options.out, report->sections.size(), byte_words(html.size())));
  return {};
}

}  // namespace

void add_report(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "Write a self-contained HTML report of one trace, or a comparison");
  command->add_option("traces", options->traces, "Trace files; the first is the subject");
  command->add_option("--out", options->out, "R.html");
  command->add_option("--title", options->title, "Title; from the first trace when absent");
  command->add_option("--sections", options->sections, "Sections to include: a,b,c; all when absent")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--tokens", options->tokens, "Which tokens count: 'domain == \"code\" && position < 128'");
  command
      ->add_option("--note", options->notes,
                   "A note, or what it is about and a note: 'L3·E04=text'; may be given again")
      ->allow_extra_args(false);
  command->add_option("--date", options->date, "Date to print; today when absent");
  command->add_flag("--list", options->list, "List the sections");
  command->callback([options, &chosen] { chosen.run = [options] { return run_report(*options); }; });
}

}  // namespace moescope::cli
