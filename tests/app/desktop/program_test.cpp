// Runs the program itself, as a person without a display would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QFile>
#include <QImage>
#include <QProcess>
#include <QTemporaryDir>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/trace/trace_builder.h"
#include "core/trace/trace_file.h"

namespace moescope::program_test {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string out, error;
};

Outcome run_program(const QStringList& arguments) {
  QProcess process;
  QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
  environment.remove("DISPLAY");
  environment.remove("WAYLAND_DISPLAY");
  environment.remove("QT_QPA_PLATFORM");
  const QTemporaryDir settings;  // not the user's
  environment.insert("XDG_CONFIG_HOME", settings.path());
  process.setProcessEnvironment(environment);
  process.start(MOESCOPE_PROGRAM, arguments);
  if (!process.waitForFinished(120'000)) return {};
  return {process.exitCode(), process.readAllStandardOutput().toStdString(),
          process.readAllStandardError().toStdString()};
}

class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    TraceBuilder builder(TraceBuilder::plain_rows(3, 6, 2), 2);
    for (std::uint32_t t = 0; t < 90; ++t) {
      TokenFacts facts;
      facts.id = static_cast<std::int32_t>(t % 5);
      facts.sequence = static_cast<std::int32_t>(t / 10);
      facts.position = static_cast<std::int32_t>(t % 10);
      builder.token(facts, " word");
      for (std::size_t row = 0; row < 3; ++row) builder.route(row, {t % 6, (t + 1 + t % 4) % 6}, {0.6F, 0.4F});
    }
    const auto written = write_trace(builder.build("small"), trace().toStdString());
    ASSERT_TRUE(written) << written.error().text();
  }
  [[nodiscard]] QString trace() const { return folder_.filePath("small.routes.safetensors"); }
  QTemporaryDir folder_;
};

TEST_F(Program, ScreenshotOfEveryViewWithoutADisplayIsNotBlank) {
  for (const char* view : {"experts", "affinity", "tokens"}) {
    const QString picture = folder_.filePath(QString(view) + ".png");
    const Outcome outcome =
        run_program({trace(), "--screenshot", picture, "--size", "900x600", "--theme", "light", "--view", view});
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    const QImage image(picture);
    ASSERT_FALSE(image.isNull()) << view;
    std::set<QRgb> colours;
    for (int y = 0; y < image.height(); y += 2)
      for (int x = 0; x < image.width(); x += 2) colours.insert(image.pixel(x, y));
    EXPECT_GT(colours.size(), 30U) << view;
  }
}

TEST_F(Program, AMissingFileIsExitCodeTwoAndOneSentence) {
  const Outcome outcome = run_program({"/nowhere/at.all", "--screenshot", folder_.filePath("x.png")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("/nowhere/at.all"));
}

TEST_F(Program, WithoutADisplayItSaysWhatToUse) {
  const Outcome outcome = run_program({});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("--screenshot"));
}

TEST_F(Program, AScriptGoesOnAfterAnError) {
  QFile script(folder_.filePath("script.txt"));
  ASSERT_TRUE(script.open(QIODevice::WriteOnly));
  script.write("# opens a trace, fails once, goes on\n");
  const auto write_line = [&](const char* command, const nlohmann::json& arguments) {
    script.write((nlohmann::json{{"command", command}, {"arguments", arguments}}.dump() + "\n").c_str());
  };
  write_line("source.open", {{"path", trace().toStdString()}});
  write_line("source.open", {{"path", "/nowhere/at.all"}});
  write_line("select.expert", {{"row", 1}, {"expert", 2}});
  write_line("view.show", {{"name", "tokens"}});
  script.close();
  const Outcome outcome = run_program({"--script", script.fileName()});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  std::istringstream lines(outcome.out);
  std::vector<bool> ok;
  for (std::string line; std::getline(lines, line);) ok.push_back(nlohmann::json::parse(line).at("ok").get<bool>());
  EXPECT_EQ(ok, (std::vector<bool>{true, false, true, true}));
}

TEST_F(Program, TheTimeOfTheFirstFrameIsPrinted) {
  const Outcome outcome = run_program({trace(), "--time-first-frame"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr(" ms, "));
}

TEST_F(Program, TheTimesOfBrushesArePrinted) {
  const Outcome outcome = run_program({trace(), "--view", "experts", "--time-brush", "2"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("longest gap"));
  EXPECT_THAT(outcome.out, HasSubstr("private memory"));
}

}  // namespace
}  // namespace moescope::program_test
