// The worker: runs, dies, is stopped, and the next run works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <random>

#include "core/model/synth.h"
#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_worker_test {
namespace {

// Process ids of this process's children.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t id = 0; file >> id;) out.push_back(id);
  }
  return out;
}

class EngineWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("moescope_worker_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    SynthOptions options;
    options.layers = 8;
    options.hidden = 256;
    options.intermediate = 256;
    options.experts = 16;
    options.vocabulary = 1000;
    const auto made = write_random_checkpoint(options, folder_ / "model");
    ASSERT_TRUE(made.has_value()) << made.error().text();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] RunRequest request(std::size_t sequences) const {
    RunRequest out;
    out.checkpoint = (folder_ / "model").string();
    std::mt19937 bits(1);
    for (std::size_t s = 0; s < sequences; ++s) {
      SequenceInput sequence;
      for (int t = 0; t < 256; ++t) sequence.ids.push_back(static_cast<std::int32_t>(bits() % 1000));
      out.sequences.push_back(std::move(sequence));
    }
    out.out = (folder_ / "run.routes.safetensors").string();
    return out;
  }
  std::filesystem::path folder_;
  std::shared_ptr<Engine> engine_ = make_worker_engine();
};

TEST_F(EngineWorker, TellsWhatItIsAndRuns) {
  const auto info = engine_->info();
  ASSERT_TRUE(info.has_value()) << info.error().text();
  EXPECT_THAT(info->name, ::testing::HasSubstr("LibTorch"));
  std::vector<ProgressReport> reports;
  WorkContext work;
  work.on_progress = [&](const ProgressReport& report) { reports.push_back(report); };
  const auto summary = engine_->run(request(2), work);
  ASSERT_TRUE(summary.has_value()) << summary.error().text();
  EXPECT_EQ(summary->tokens, 512U);
  EXPECT_GT(reports.size(), 8U);
  EXPECT_TRUE(read_trace(summary->trace_file).has_value());
}

TEST_F(EngineWorker, AnErrorOfTheRunComesBackWhole) {
  RunRequest bad = request(1);
  bad.sequences[0].ids[5] = 99999;
  const auto summary = engine_->run(bad, WorkContext{});
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().kind, ErrorKind::input);
  EXPECT_THAT(summary.error().what, ::testing::HasSubstr("99999"));
}

TEST_F(EngineWorker, KilledInTheMiddleItSaysSoAndTheNextRunWorks) {
  WorkContext work;
  std::atomic<bool> killed = false;
  work.on_progress = [&](const ProgressReport& report) {
    if (report.stage.find("layer 2") == std::string::npos || killed.exchange(true)) return;
    for (const pid_t child : children()) ::kill(child, SIGKILL);
  };
  const auto first = engine_->run(request(40), work);
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().kind, ErrorKind::module);
  EXPECT_THAT(first.error().what, ::testing::HasSubstr("signal 9"));
  EXPECT_FALSE(std::filesystem::exists(request(1).out + ".part"));
  const auto second = engine_->run(request(1), WorkContext{});
  ASSERT_TRUE(second.has_value()) << second.error().text();
}

TEST_F(EngineWorker, ACancelComesBackQuicklyAndLeavesNoFile) {
  WorkContext work;
  work.on_progress = [&](const ProgressReport& report) {
    if (report.stage.find("layer 2") == std::string::npos || work.cancelled()) return;
    work.cancel.cancel();
  };
  const auto run = engine_->run(request(80), work);
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().kind, ErrorKind::cancelled);
  EXPECT_FALSE(std::filesystem::exists(request(1).out));
  EXPECT_FALSE(std::filesystem::exists(request(1).out + ".part"));
  EXPECT_TRUE(engine_->run(request(1), WorkContext{}).has_value());
}

TEST_F(EngineWorker, AMissingModuleIsAnErrorWithAdvice) {
  // The worker finds the module beside core; a path in the environment is looked at first and must hold a real one.
  const std::filesystem::path fake = folder_ / "modules";
  std::filesystem::create_directories(fake);
  std::ofstream(fake / "libmoescope_torch_engine.so") << "not a library";
  ::setenv("MOESCOPE_MODULE_PATH", fake.c_str(), 1);
  const auto info = engine_->info();
  ::unsetenv("MOESCOPE_MODULE_PATH");
  ASSERT_FALSE(info.has_value());
  EXPECT_EQ(info.error().kind, ErrorKind::module);
  EXPECT_THAT(info.error().where, ::testing::HasSubstr("libmoescope_torch_engine.so"));
}

}  // namespace
}  // namespace moescope::engine_worker_test
