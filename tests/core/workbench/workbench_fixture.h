// A workbench in a folder that goes away, small traces, and an engine that routes by arithmetic instead of a model.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/trace/trace_builder.h"
#include "core/trace/trace_file.h"
#include "core/workbench/workbench.h"

namespace moescope {

// Two routers of four experts, two chosen; `tokens` tokens, the first half tagged "code", the rest "prose".
inline void write_small_trace(const std::filesystem::path& path, std::size_t tokens = 40, std::uint32_t shift = 0) {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  for (std::size_t t = 0; t < tokens; ++t) {
    TokenFacts facts;
    facts.id = static_cast<std::int32_t>(t % 7);
    facts.sequence = static_cast<std::int32_t>(t / 10);
    facts.position = static_cast<std::int32_t>(t % 10);
    builder.token(facts, "t" + std::to_string(t));
    builder.tag("domain", t < tokens / 2 ? "code" : "prose");
    for (std::size_t row = 0; row < 2; ++row) {
      const auto first = static_cast<std::uint32_t>((t + row + shift) % 4);
      builder.route(row, {first, (first + 1) % 4}, {0.6F, 0.4F});
    }
  }
  const auto written = write_trace(builder.build(path.stem().stem().string()), path);
  ASSERT_TRUE(written) << written.error().text();
}

class ArithmeticEngine : public Engine {
 public:
  Expected<EngineInfo> info() override { return EngineInfo{"arithmetic", {"cpu"}, "cpu"}; }
  Expected<RunSummary> run(const RunRequest& request, const WorkContext& work) override {
    last = request;
    if (die) return fail(ErrorKind::module, "the engine worker died", "signal 9", "Run it again");
    if (request.generate && !request.generate->live_trace.empty()) show_growing(request, work);
    while (endless && !work.cancelled()) sleep_milliseconds(1);
    if (work.cancelled()) return fail(ErrorKind::cancelled, "stopped");
    std::size_t tokens = 0;
    for (const SequenceInput& sequence : request.sequences) tokens += sequence.ids.size();
    write_small_trace(request.out, tokens, 1);
    RunSummary summary;
    summary.trace_file = request.out;
    summary.tokens = tokens;
    return summary;
  }
  RunRequest last;
  std::atomic<bool> die{false}, endless{false};

 private:
  // Three live traces of 1, 2 and 3 more tokens than the prompt has.
  static void show_growing(const RunRequest& request, const WorkContext& work) {
    const std::size_t prompt = request.sequences.front().ids.size();
    for (std::size_t more = 1; more <= 3 && !work.cancelled(); ++more) {
      write_small_trace(request.generate->live_trace, prompt + more, 1);
      work.report("Generating", 0.1 * static_cast<double>(more));
      sleep_milliseconds(20);  // file times differ
    }
  }
};

class WorkbenchTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             ("moescope-workbench-" + std::to_string(process_id()) + "-" + info->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "data");
    trace_file = folder / "data" / "small.routes.safetensors";
    write_small_trace(trace_file);
    start();
  }
  void TearDown() override {
    workbench.reset();
    std::filesystem::remove_all(folder);
  }
  // Begins, or begins again as after the program was closed.
  void start() {
    workbench.reset();
    workbench = std::make_unique<Workbench>(WorkbenchOptions{folder / "settings", engine, {}});
  }
  Expected<nlohmann::json> run(const std::string& id, const nlohmann::json& arguments = nlohmann::json::object()) {
    return workbench->commands().run(id, arguments);
  }
  // Runs and expects that it works.
  nlohmann::json must(const std::string& id, const nlohmann::json& arguments = nlohmann::json::object()) {
    auto reply = run(id, arguments);
    EXPECT_TRUE(reply) << id << ": " << reply.error().text();
    return reply.value_or(nlohmann::json());
  }
  void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  std::filesystem::path folder, trace_file;
  std::shared_ptr<ArithmeticEngine> engine = std::make_shared<ArithmeticEngine>();
  std::unique_ptr<Workbench> workbench;
};

}  // namespace moescope
