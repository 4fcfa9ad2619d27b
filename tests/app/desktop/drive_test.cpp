// One running desktop, driven by lines of a script as automation would: broken files, a worker that is killed, and a
// desktop that is killed itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QThread>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/model/synth.h"
#include "tests/app/broken_inputs/broken_inputs.h"
#include "tests/core/workbench/kill_loop.h"

namespace moescope::drive_test {
namespace {

using ::testing::HasSubstr;

// A desktop without a display that takes one line at a time.
class Desktop {
 public:
  explicit Desktop(const QString& home) {
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("DISPLAY");
    environment.remove("WAYLAND_DISPLAY");
    environment.insert("QT_QPA_PLATFORM", "offscreen");
    environment.insert("HOME", home);
    environment.insert("XDG_CONFIG_HOME", home + "/config");
    process_.setProcessEnvironment(environment);
    process_.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    process_.start(MOESCOPE_PROGRAM, {"--script", "-"});
  }
  ~Desktop() {
    process_.closeWriteChannel();
    if (!process_.waitForFinished(20'000)) process_.kill();
    process_.waitForFinished();
  }
  Desktop(const Desktop&) = delete;
  Desktop& operator=(const Desktop&) = delete;

  void send(const char* command, const nlohmann::json& arguments, bool wait = false) {
    const nlohmann::json line = {{"command", command}, {"arguments", arguments}, {"wait", wait}};
    process_.write((line.dump() + "\n").c_str());
    process_.waitForBytesWritten(10'000);
  }
  nlohmann::json reply() {
    QElapsedTimer clock;
    clock.start();
    while (!process_.canReadLine() && clock.elapsed() < 120'000 && process_.state() != QProcess::NotRunning) {
      process_.waitForReadyRead(100);
    }
    return nlohmann::json::parse(process_.readLine().toStdString(), nullptr, false);
  }
  nlohmann::json ask(const char* command, const nlohmann::json& arguments, bool wait = false) {
    send(command, arguments, wait);
    return reply();
  }
  // Process ids of the desktop's children: its engine worker.
  [[nodiscard]] std::vector<pid_t> children() const {
    std::vector<pid_t> out;
    const QString tasks = QString("/proc/%1/task").arg(process_.processId());
    for (const QString& task : QDir(tasks).entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
      QFile file(tasks + "/" + task + "/children");
      if (!file.open(QIODevice::ReadOnly)) continue;
      for (const QByteArray& id : file.readAll().split(' ')) {
        if (id.toInt() > 0) out.push_back(id.toInt());
      }
    }
    return out;
  }

 private:
  QProcess process_;
};

TEST(DesktopDriven, OpensTenBrokenFilesShowsEachErrorAndGoesOn) {
  QTemporaryDir folder;
  const auto inputs = test::make_broken_inputs(folder.filePath("broken").toStdString());
  ASSERT_GE(inputs.size(), 10U);
  SynthOptions good;
  ASSERT_TRUE(write_random_checkpoint(good, folder.filePath("good").toStdString()));
  Desktop desktop(folder.filePath("home"));
  for (const test::BrokenInput& input : inputs) {
    const auto reply = desktop.ask("source.open", {{"path", input.path.string()}}, true);
    ASSERT_TRUE(reply.is_object()) << input.name;
    EXPECT_FALSE(reply.value("ok", true)) << input.name;
    const std::string shown = reply.value("shown", "");
    EXPECT_THAT(shown, HasSubstr(input.expected)) << input.name;
    EXPECT_FALSE(reply["error"].value("where", "").empty()) << input.name;
    EXPECT_FALSE(reply["error"].value("advice", "").empty()) << input.name;
    const auto next = desktop.ask("option.set", {{"name", "theme"}, {"value", "dark"}});
    EXPECT_TRUE(next.value("ok", false)) << input.name << ": " << next.dump();
  }
  const auto opened = desktop.ask("source.open", {{"path", folder.filePath("good").toStdString()}}, true);
  EXPECT_TRUE(opened.value("ok", false)) << opened.dump();
}

TEST(DesktopDriven, KillingTheEngineWorkerIsAnErrorAndTheNextRunWorks) {
  if (!QFile::exists(MOESCOPE_ENGINE_MODULE)) GTEST_SKIP() << "built without LibTorch";
  QTemporaryDir folder;
  SynthOptions options;
  options.layers = 12;
  options.hidden = 512;
  options.intermediate = 512;
  options.experts = 16;
  options.vocabulary = 1000;
  ASSERT_TRUE(write_random_checkpoint(options, folder.filePath("model").toStdString()));
  std::string ids;
  for (int i = 0; i < 4000; ++i) ids += (i ? "," : "") + std::to_string(i % 997);
  Desktop desktop(folder.filePath("home"));
  const auto opened = desktop.ask("source.open", {{"path", folder.filePath("model").toStdString()}}, true);
  ASSERT_TRUE(opened.value("ok", false)) << opened.dump();
  const auto run = [&](const char* name, const std::string& text) {
    return nlohmann::json{{"ids", text}, {"out", folder.filePath(name).toStdString()}};
  };

  desktop.send("run.capture", run("first.routes.safetensors", ids), true);
  QElapsedTimer clock;
  clock.start();
  while (desktop.children().empty() && clock.elapsed() < 60'000) QThread::msleep(5);
  QThread::msleep(800);  // past loading, into the run
  const auto workers = desktop.children();
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  const auto died = desktop.reply();
  EXPECT_FALSE(died.value("ok", true)) << died.dump();
  EXPECT_EQ(died["error"].value("kind", ""), "module") << died.dump();
  EXPECT_FALSE(died.value("shown", "").empty()) << died.dump();

  const auto again = desktop.ask("run.capture", run("second.routes.safetensors", "1,2,3,4"), true);
  EXPECT_TRUE(again.value("ok", false)) << again.dump();
  EXPECT_TRUE(QFile::exists(folder.filePath("second.routes.safetensors")));
  EXPECT_FALSE(QFile::exists(folder.filePath("first.routes.safetensors")));
}

// MOESCOPE_KILL_ROUNDS sets the number of kills, here as in the test of the workbench alone.
TEST(DesktopDriven, KillingTheDesktopLosesNoFinishedAction) {
  QTemporaryDir folder;
  qputenv("HOME", folder.filePath("home").toUtf8());
  qputenv("XDG_CONFIG_HOME", folder.filePath("home/config").toUtf8());
  qputenv("QT_QPA_PLATFORM", "offscreen");
  KillOptions options;
  options.program = {MOESCOPE_PROGRAM, "--script", "-"};
  options.folder = folder.filePath("sessions").toStdString();
  std::filesystem::create_directories(options.folder);
  options.rounds = 10;
  options.transaction_delay_ms = 20;
  if (const char* rounds = std::getenv("MOESCOPE_KILL_ROUNDS")) options.rounds = std::atoi(rounds);
  const KillOutcome outcome = run_kill_loop(options);
  std::cout << outcome.rounds << " kills, " << outcome.inside << " inside a transaction, " << outcome.actions
            << " actions printed, " << outcome.lost.size() << " lost\n";
  EXPECT_GE(outcome.inside * 2, outcome.rounds) << "too few kills hit a transaction to prove anything";
  for (const std::string& lost : outcome.lost) ADD_FAILURE() << lost;
}

}  // namespace
}  // namespace moescope::drive_test
