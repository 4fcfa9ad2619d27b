// From asking a capture in the worker to stop until the call returns: 200 ms is the limit. The moment differs in every
// iteration, so that all stages of a run are met.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "core/base/clock.h"
#include "core/engine/engine.h"
#include "core/model/synth.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

RunRequest long_run(const std::filesystem::path& folder) {
  RunRequest request;
  request.checkpoint = (folder / "model").string();
  std::mt19937 bits(1);
  for (int s = 0; s < 400; ++s) {
    SequenceInput sequence;
    for (int t = 0; t < 256; ++t) sequence.ids.push_back(static_cast<std::int32_t>(bits() % 1000));
    request.sequences.push_back(std::move(sequence));
  }
  request.record.router_logits = true;
  request.out = (folder / "run.routes.safetensors").string();
  return request;
}

void cancel_a_capture(benchmark::State& state) {
  const auto folder = std::filesystem::temp_directory_path() / ("moescope_cancel_" + std::to_string(process_id()));
  std::filesystem::create_directories(folder);
  SynthOptions options;
  options.layers = 8;
  options.hidden = 256;
  options.intermediate = 256;
  options.experts = 16;
  options.vocabulary = 1000;
  const auto engine = make_worker_engine();
  if (!write_random_checkpoint(options, folder / "model")) state.SkipWithError("cannot write the checkpoint");
  const RunRequest request = long_run(folder);
  std::mt19937 bits(2);
  double longest = 0;
  for (auto _ : state) {
    WorkContext work;
    Clock::time_point asked;
    std::atomic<bool> running{false};
    work.on_progress = [&](const ProgressReport&) { running = true; };
    std::thread stopper([&, wait = bits() % 400] {
      while (!running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(wait));
      asked = Clock::now();
      work.cancel.cancel();
    });
    const auto run = engine->run(request, work);
    const auto returned = Clock::now();
    running = true;
    stopper.join();
    if (run || run.error().kind != ErrorKind::cancelled) {
      state.SkipWithError(run ? "the run ended before it was stopped" : run.error().text().c_str());
      break;
    }
    const double seconds = std::chrono::duration<double>(returned - asked).count();
    longest = std::max(longest, seconds);
    state.SetIterationTime(seconds);
  }
  state.counters["longest_ms"] = longest * 1000;
  std::filesystem::remove_all(folder);
}
BENCHMARK(cancel_a_capture)->UseManualTime()->Iterations(15)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moescope
