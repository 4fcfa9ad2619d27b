#include "app/desktop/time_brush.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QTimer>
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <sstream>

#include "views/common/figure_widget.h"
#include "views/shell/main_window.h"

namespace moescope {
namespace {

constexpr int beat_ms = 2;
constexpr double give_up_ms = 120'000;

struct BrushTimes {
  double first = -1, counted = -1, complete = -1, longest_gap = 0;  // milliseconds
};

// The filter that the shown figure was made for, whether all of its tokens are counted, and whether it is the last
// word: intervals and nulls follow the counts.
struct Shown {
  std::string filter;
  bool counted = false, complete = false;
};

Shown shown_by(MainWindow& window) {
  View* view = window.view();
  const FigureWidget* widget = view ? view->main_figure() : nullptr;
  if (!widget || !widget->figure() || !widget->figure()->source) return {};
  const Result& result = *widget->figure()->source;
  const bool part = !result.caveats.empty() && result.caveats.front().starts_with("Still counting");
  return {result.provenance.filter, !part || result.caveats.front().find("follow") != std::string::npos,
          !part && window.settled()};
}

BrushTimes brush(MainWindow& window, std::uint64_t first, std::uint64_t count) {
  BrushTimes times;
  const std::string filter = "token in " + std::to_string(first) + ".." + std::to_string(first + count - 1);
  QElapsedTimer clock;
  QEventLoop loop;
  QTimer beat;
  beat.setTimerType(Qt::PreciseTimer);
  double last = 0;
  const auto now = [&] { return static_cast<double>(clock.nsecsElapsed()) / 1e6; };
  QObject::connect(&beat, &QTimer::timeout, &loop, [&] {
    const double at = now();
    times.longest_gap = std::max(times.longest_gap, at - last);
    last = at;
    const Shown shown = shown_by(window);
    if (shown.filter == filter && times.first < 0) times.first = at;
    if (shown.filter == filter && shown.counted && times.counted < 0) times.counted = at;
    if (shown.filter == filter && shown.complete) times.complete = at;
    if (times.complete >= 0 || at > give_up_ms) loop.quit();
  });
  clock.start();
  beat.start(beat_ms);
  window.context().run("select.tokens", {{"first", first}, {"count", count}});
  loop.exec();
  return times;
}

}  // namespace

Expected<std::string> time_brushes(MainWindow& window, int count) {
  const Trace* trace = window.context().trace();
  if (!trace || trace->token_count() < 20 || !shown_by(window).filter.empty() || !window.view() ||
      !window.view()->main_figure()) {
    return fail(ErrorKind::usage, "--time-brush needs an unfiltered trace and a view that draws it", {},
                "Name a routing trace and --view experts, affinity or tokens.");
  }
  const std::uint64_t tokens = trace->token_count();
  std::string out;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t width = tokens / (i % 3 == 0 ? 20 : i % 3 == 1 ? 5 : 2);
    const std::uint64_t first = (tokens - width) * static_cast<std::uint64_t>(i) / static_cast<std::uint64_t>(count);
    const BrushTimes times = brush(window, first, width);
    if (times.complete < 0) return fail(ErrorKind::internal, "the view did not follow the brush");
    std::ostringstream line;
    line << std::fixed << std::setprecision(0) << "brush of " << width << " tokens: first numbers " << times.first
         << " ms, all counts " << times.counted << " ms, with intervals and nulls " << times.complete
         << " ms; longest gap " << times.longest_gap << " ms\n";
    out += line.str();
  }
  return out;
}

std::uint64_t private_bytes() {
  std::ifstream file("/proc/self/status");
  std::uint64_t kilobytes = 0;
  for (std::string word; file >> word;) {
    if (word == "RssAnon:" && file >> kilobytes) break;
  }
  return kilobytes * 1024;
}

}  // namespace moescope
