#include "app/desktop/arguments.h"

#include <map>

namespace moescope {

QString usage_text() {
  return QStringLiteral(
      "moescope [FILE…]\n"
      "  FILE                    checkpoint folder, routing trace of any known format or .moescope session\n"
      "  --screenshot OUT.png    write the window (without a display: the view) and leave\n"
      "  --size WIDTHxHEIGHT     size of the window, 1440x900\n"
      "  --theme light|dark      instead of the desktop's\n"
      "  --view NAME             experts, affinity, routes, tokens or weights\n"
      "  --report OUT.html|.pdf  write the report of the open trace and leave\n"
      "  --script FILE           run commands, one JSON object a line (resources/help/scripts.md); - = standard input\n"
      "  --time-orbit N          with --view routes: turn the scene N times, print the median time of a frame and "
      "leave\n"
      "  --time-brush N          brush the trace N times, print how fast the view follows and leave\n"
      "  --time-first-frame      print the time from start to the first complete frame and leave\n"
      "  --help, --version\n");
}

Expected<Arguments> parse_arguments(const QStringList& words) {
  Arguments result;
  const std::map<QString, QString*> texts = {{QStringLiteral("--screenshot"), &result.screenshot},
                                             {QStringLiteral("--report"), &result.report},
                                             {QStringLiteral("--script"), &result.script},
                                             {QStringLiteral("--theme"), &result.theme},
                                             {QStringLiteral("--view"), &result.view}};
  const std::map<QString, bool*> flags = {{QStringLiteral("--time-first-frame"), &result.time_first_frame},
                                          {QStringLiteral("--help"), &result.help},
                                          {QStringLiteral("-h"), &result.help},
                                          {QStringLiteral("--version"), &result.version}};
  bool only_files = false;
  for (qsizetype i = 0; i < words.size(); ++i) {
    const QString& word = words[i];
    if (only_files || !word.startsWith(QLatin1Char('-')) || word == QLatin1String("-")) {
      result.files << word;
      continue;
    }
    if (word == QLatin1String("--")) {
      only_files = true;
      continue;
    }
    const QString name = word.section(QLatin1Char('='), 0, 0);
    if (const auto flag = flags.find(name); flag != flags.end()) {
      *flag->second = true;
      continue;
    }
    const auto text = texts.find(name);
    const bool size = name == QLatin1String("--size"), orbit = name == QLatin1String("--time-orbit"),
               brush = name == QLatin1String("--time-brush");
    if (text == texts.end() && !size && !orbit && !brush)
      return fail(ErrorKind::usage, "unknown option", word.toStdString(), "moescope --help lists the options.");
    const bool inline_value = word.contains(QLatin1Char('='));
    if (!inline_value && i + 1 >= words.size())
      return fail(ErrorKind::usage, "the option needs a value", word.toStdString(), "moescope --help shows which.");
    const QString value = inline_value ? word.section(QLatin1Char('='), 1) : words[++i];
    if (text != texts.end()) {
      *text->second = value;
      continue;
    }
    if (orbit || brush) {
      int& times = orbit ? result.time_orbit : result.time_brush;
      times = value.toInt();
      if (times < 1 || times > 10'000)
        return fail(ErrorKind::usage, name.toStdString() + " takes a number from 1 to 10,000", value.toStdString(), {});
      continue;
    }
    const int width = value.section(QLatin1Char('x'), 0, 0).toInt(),
              height = value.section(QLatin1Char('x'), 1).toInt();
    if (width < 320 || height < 240 || width > 16384 || height > 16384)
      return fail(ErrorKind::usage, "--size takes WIDTHxHEIGHT between 320x240 and 16384x16384", value.toStdString(),
                  "For example --size 1440x900.");
    result.size = QSize(width, height);
  }
  if (!result.theme.isEmpty() && result.theme != QLatin1String("light") && result.theme != QLatin1String("dark") &&
      result.theme != QLatin1String("system"))
    return fail(ErrorKind::usage, "--theme takes light or dark", result.theme.toStdString(), {});
  return result;
}

}  // namespace moescope
