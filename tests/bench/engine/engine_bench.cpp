// Capture against the model's own matrix products, and with against without recording.
//   share_of_products  rate of the whole forward pass with recording / rate of its matrix products alone; aim ≥ 0.5
//   recording_percent  time of a recorded run over one without, − 1; median of 11 alternated runs; aim ≤ 3
// Settings by environment: MOESCOPE_BENCH_CHECKPOINT (a folder; default a random model of the sample's shape),
// MOESCOPE_BENCH_CPU (processor time, not wall time).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>

#include "core/base/process.h"
#include "core/base/threads.h"
#include "core/model/checkpoint.h"
#include "core/model/synth.h"
#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/forward.h"

namespace {

using namespace moescope;
using namespace moescope::torch_engine;
using Clock = std::chrono::steady_clock;

// Wall time; processor time of all threads where MOESCOPE_BENCH_CPU is set, for a machine that does other work too.
double seconds_of(const std::function<void()>& work) {
  static const bool processor = std::getenv("MOESCOPE_BENCH_CPU") != nullptr;
  const auto begin = Clock::now();
  const std::clock_t busy = std::clock();
  work();
  return processor ? static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC
                   : std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A checkpoint, 10,000 tokens in 49 sequences, and the weights in memory.
class Setup {
 public:
  Setup() {
    prepare_process_environment();
    at::set_num_threads(engine_threads());
    std::filesystem::path folder;
    if (const char* given = std::getenv("MOESCOPE_BENCH_CHECKPOINT")) {
      folder = given;
    } else {
      folder = std::filesystem::temp_directory_path() / ("moescope_bench_" + std::to_string(::getpid()));
      SynthOptions options;
      options.layers = 6;
      options.experts = 16;
      options.hidden = 128;
      options.intermediate = 64;
      options.vocabulary = 2000;
      if (!write_random_checkpoint(options, folder)) std::abort();
      made_ = folder;
    }
    checkpoint = Checkpoint::open(folder).value();
    std::mt19937 bits(1);
    for (int s = 0; s < 49; ++s) {
      SequenceInput sequence;
      const int length = s < 48 ? 150 + static_cast<int>(bits() % 109) : 0;
      for (int t = 0; t < length; ++t) {
        sequence.ids.push_back(static_cast<std::int32_t>(bits() % checkpoint->spec().vocabulary));
      }
      request.sequences.push_back(std::move(sequence));
      tokens += request.sequences.back().ids.size();
    }
    while (tokens < 10000) {
      request.sequences.back().ids.push_back(static_cast<std::int32_t>(bits() % checkpoint->spec().vocabulary));
      ++tokens;
    }
    plan = plan_run(request, checkpoint->spec()).value();
    weights.emplace(checkpoint, at::kFloat, at::kCPU, Residence{});
    forward(true);  // makes the weights resident
  }
  ~Setup() {
    if (!made_.empty()) std::filesystem::remove_all(made_);
  }

  void forward(bool record) {
    const c10::InferenceMode inference;
    for (const SequenceGroup& group : plan.groups) {
      std::optional<Recorder> recorder;
      if (record) recorder.emplace(request.record, plan, group, checkpoint->spec().vocabulary, nullptr);
      if (!run_group(request, plan, group, checkpoint->spec(), *weights, recorder ? &*recorder : nullptr, {})) {
        std::abort();
      }
      if (recorder) benchmark::DoNotOptimize(recorder->take_segment());
    }
  }

  // The same products with the same rows per expert (evenly spread), and nothing else: operands are made before, and
  // each thread takes whole products, which is the fastest way for products this small.
  void products() {
    const c10::InferenceMode inference;
    if (operands_.empty()) list_products();
    blocks::kernels::parallel_tasks(static_cast<std::int64_t>(operands_.size()), [&](std::int64_t i) {
      const auto& [left, right] = operands_[static_cast<std::size_t>(i)];
      benchmark::DoNotOptimize(left.dim() == 3 ? at::bmm(left, right) : at::mm(left, right));
    });
  }

  std::shared_ptr<const Checkpoint> checkpoint;
  RunRequest request;
  RunPlan plan;
  std::optional<Weights> weights;
  std::size_t tokens = 0;

 private:
  void list_products() {
    const ModelSpec& spec = checkpoint->spec();
    const auto n = static_cast<std::int64_t>(tokens);
    const std::int64_t hidden = spec.hidden, width = spec.heads * spec.head_dim, kv = spec.kv_heads * spec.head_dim;
    const at::Tensor x = at::rand({n, hidden}), wide = at::rand({n, width});
    const auto add = [&](const at::Tensor& left, std::int64_t outputs) {
      operands_.emplace_back(left, at::rand({outputs, left.size(1)}).t());
    };
    for (const LayerSpec& layer : spec.layers) {
      add(x, width + 2 * kv);
      for (const PlannedSequence& sequence : plan.sequences) {
        const auto length = static_cast<std::int64_t>(sequence.length);
        const at::Tensor head = at::rand({spec.heads, length, spec.head_dim});
        operands_.emplace_back(head, head.transpose(1, 2));
        operands_.emplace_back(at::rand({spec.heads, length, length}), head);
      }
      add(wide, hidden);
      add(x, layer.experts);
      const std::int64_t rows = n * layer.k / layer.experts;
      for (std::uint32_t e = 0; e < layer.experts; ++e) {
        add(x.narrow(0, 0, rows), 2 * layer.intermediate);
        add(at::rand({rows, layer.intermediate}), hidden);
      }
    }
    for (std::int64_t first = 0; first < n; first += 2000) {
      add(x.narrow(0, first, std::min<std::int64_t>(2000, n - first)), spec.vocabulary);
    }
  }

  std::vector<std::pair<at::Tensor, at::Tensor>> operands_;
  std::filesystem::path made_;
};

Setup& setup() {
  static Setup only;
  return only;
}

void capture(benchmark::State& state) {
  Setup& s = setup();
  std::vector<double> recorded, products;
  for (auto _ : state) {
    products.push_back(seconds_of([&] { s.products(); }));
    recorded.push_back(seconds_of([&] { s.forward(true); }));
    state.SetIterationTime(recorded.back());
  }
  state.counters["tokens_per_s"] = static_cast<double>(s.tokens) / median(recorded);
  state.counters["products_tokens_per_s"] = static_cast<double>(s.tokens) / median(products);
  state.counters["share_of_products"] = median(products) / median(recorded);
  state.counters["peak_MB"] = static_cast<double>(peak_resident_bytes()) / 1e6;
}
BENCHMARK(capture)->UseManualTime()->Iterations(11)->Unit(benchmark::kMillisecond);

void recording(benchmark::State& state) {
  Setup& s = setup();
  std::vector<double> with, without;
  for (auto _ : state) {
    without.push_back(seconds_of([&] { s.forward(false); }));
    with.push_back(seconds_of([&] { s.forward(true); }));
    state.SetIterationTime(with.back());
  }
  state.counters["recording_percent"] = 100.0 * (median(with) / median(without) - 1.0);
}
BENCHMARK(recording)->UseManualTime()->Iterations(11)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
