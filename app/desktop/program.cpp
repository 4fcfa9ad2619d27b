#include "app/desktop/program.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QStandardPaths>
#include <QThread>
#include <cstdlib>
#include <iostream>

#include "app/desktop/arguments.h"
#include "app/desktop/first_frame.h"
#include "app/desktop/script.h"
#include "app/desktop/time_brush.h"
#include "app/desktop/view_table.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "core/report/report.h"
#include "core/workbench/workbench.h"
#include "views/common/icons.h"
#include "views/common/report_painter.h"
#include "views/common/theme.h"
#include "views/shell/error_bar.h"
#include "views/shell/main_window.h"
#include "views/shell/status_bar.h"
#ifdef MOESCOPE_HAS_ROUTES
#include "views/routes/routes_view.h"
#endif

namespace moescope {
namespace {

// Pictures and reports give up waiting for an analysis after this long.
constexpr int settle_limit_ms = 120'000;

bool has_display() {
#ifdef __linux__
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  return set("DISPLAY") || set("WAYLAND_DISPLAY");
#else
  return true;
#endif
}

int complain(const Error& error) {
  std::cerr << "moescope: " << error.text() << std::endl;
  return exit_code(error.kind);
}

void settle(MainWindow& window) {
  QElapsedTimer clock;
  clock.start();
  do {
    QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
    if (window.settled()) {
      // Once more: what settled last may have posted a repaint.
      QCoreApplication::processEvents();
      if (window.settled()) return;
    }
    QThread::msleep(1);
  } while (clock.elapsed() < settle_limit_ms);
}

std::filesystem::path settings_folder() {
  return QStandardPaths::writableLocation(QStandardPaths::AppConfigLocation).toStdString();
}

int write_screenshot(MainWindow& window, const Arguments& arguments, bool display) {
  settle(window);
  // Without a display the window has no frame worth showing: the view alone is the picture.
  const QImage picture = !display && window.view() ? window.view()->picture(1) : window.grab().toImage();
  if (picture.save(arguments.screenshot)) return 0;
  return complain({ErrorKind::input, "cannot write the screenshot", arguments.screenshot.toStdString(),
                   "Use a name that ends in .png, in a folder that you may write to."});
}

// The report of the shown trace with its filter, by the file's suffix HTML or PDF.
int write_report(const Workbench& workbench, const Arguments& arguments) {
  const Source* source = workbench.active_trace();
  if (!source || !source->trace)
    return complain({ErrorKind::usage, "there is no trace to report on", {}, "Name a routing trace or a session."});
  ReportRequest request;
  for (const Annotation& note : workbench.annotations()) request.notes.push_back({note.anchor, note.text});
  const auto report = make_report({{source->name, *source->trace, workbench.filter()}}, request);
  if (!report) return complain(report.error());
  const auto saved = save_report(*report, arguments.report);
  return saved ? 0 : complain(saved.error());
}

}  // namespace

int run_desktop(int argc, char** argv) {
  prepare_process_environment();
  const bool display = has_display();
  if (!display && qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) qputenv("QT_QPA_PLATFORM", "offscreen");
#ifdef MOESCOPE_HAS_ROUTES
  prepare_scene_rendering();
#endif
  QApplication app(argc, argv);
  QApplication::setApplicationName(QStringLiteral("moescope"));
  QApplication::setApplicationDisplayName(QStringLiteral("MoEScope"));
  QApplication::setApplicationVersion(QString::fromLatin1(version_text));
  const auto arguments = parse_arguments(QApplication::arguments().mid(1));
  if (!arguments) return complain(arguments.error());
  if (arguments->help) {
    std::cout << usage_text().toStdString();
    return 0;
  }
  if (arguments->version) {
    std::cout << "moescope " << version_text << std::endl;
    return 0;
  }
  const bool one_shot = !arguments->screenshot.isEmpty() || !arguments->report.isEmpty() ||
                        arguments->time_first_frame || arguments->time_orbit > 0 || arguments->time_brush > 0;
  if (!display && !one_shot && arguments->script.isEmpty())
    return complain({ErrorKind::usage, "there is no display to open a window on",
                     "DISPLAY and WAYLAND_DISPLAY are not set",
                     "Use --screenshot, --report or --script, or moescope-cli."});

  WorkbenchOptions options;
  if (!one_shot) options.settings_folder = settings_folder();
  options.engine = make_worker_engine();
  options.post_to_main = [](std::function<void()> work) {
    QMetaObject::invokeMethod(qApp, std::move(work), Qt::QueuedConnection);
  };
  options.report_writers[".pdf"] = [](const Report& report, const std::filesystem::path& path) {
    return report_to_pdf(report, QString::fromStdString(path.string()));
  };
  Workbench workbench(std::move(options));
  if (!arguments->theme.isEmpty()) apply_theme(theme_choice(arguments->theme));
  MainWindow window(workbench, all_views(), one_shot ? std::filesystem::path() : settings_folder());
  QApplication::setWindowIcon(icon(QStringLiteral("moescope")));
  watch_system_theme();
  if (one_shot || !arguments->script.isEmpty()) window.resize(arguments->size);

  // Files open in jobs, behind the first frame, unless something waits for them.
  const bool in_jobs = !one_shot && arguments->script.isEmpty() && arguments->theme.isEmpty();
  int worst = 0;
  for (const QString& file : arguments->files) {
    if (in_jobs) {
      window.context().run("source.open", {{"path", file.toStdString()}});
      continue;
    }
    const auto opened = workbench.commands().run("source.open", {{"path", file.toStdString()}});
    if (opened) continue;
    window.context().show_error(opened.error());
    if (one_shot) worst = std::max(worst, complain(opened.error()));
  }
  if (!arguments->theme.isEmpty()) apply_theme(theme_choice(arguments->theme));  // over what a session says
  if (!arguments->view.isEmpty()) {
    const auto shown = workbench.commands().run("view.show", {{"name", arguments->view.toStdString()}});
    if (!shown) return complain(shown.error());
  }
  window.show();
  if (arguments->time_first_frame) {
    settle(window);
    window.repaint();
    std::cout << "first frame " << static_cast<int>(milliseconds_since_start()) << " ms, "
              << resident_bytes() / 1'000'000 << " MB, of them " << private_bytes() / 1'000'000 << " MB private"
              << std::endl;
    return worst;
  }
  if (arguments->time_brush > 0) {
    settle(window);
    const auto times = time_brushes(window, arguments->time_brush);
    if (!times) return complain(times.error());
    std::cout << *times << "private memory " << private_bytes() / 1'000'000 << " MB" << std::endl;
    return worst;
  }
  if (!arguments->script.isEmpty()) {
    const auto failed = run_window_script(workbench, window, arguments->script);
    if (!failed) return complain(failed.error());
    settle(window);
    if (!one_shot) return 0;
  }
#ifdef MOESCOPE_HAS_ROUTES
  if (arguments->time_orbit > 0) {
    settle(window);
    auto* routes = dynamic_cast<RoutesView*>(window.view());
    if (!routes) return complain({ErrorKind::usage, "--time-orbit needs --view routes and a trace", {}, {}});
    std::cout << "orbit " << routes->measure_orbit(arguments->time_orbit) << " ms per frame, median of "
              << arguments->time_orbit << std::endl;
    return worst;
  }
#endif
  if (!arguments->report.isEmpty()) worst = std::max(worst, write_report(workbench, *arguments));
  if (!arguments->screenshot.isEmpty()) worst = std::max(worst, write_screenshot(window, *arguments, display));
  return one_shot ? worst : QApplication::exec();
}

}  // namespace moescope
