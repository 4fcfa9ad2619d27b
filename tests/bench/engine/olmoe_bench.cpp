// A forward pass of OLMoE-1B-7B's shape (random weights) against what the machine can do, in one run:
//   products   the same matrix products alone, with the rows per expert that the routing really gave
//   plain      the straightforward formulation: sort, one product per expert, index_add in the compute type
//   capture    the engine with recording on (no output head)
// share_of_products = rate of the capture / rate of the products. And one token at a time against memory bandwidth.
// Settings by environment: MOESCOPE_BENCH_LAYERS (4), MOESCOPE_BENCH_FOLDER (where the checkpoint is made; it is kept
// when it was there before).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
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

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// What a piece of work took: of the clock, and of all processors. The second is what to compare on a busy machine.
struct Cost {
  std::vector<double> wall, cpu;
  void add(const std::function<void()>& work) {
    const std::clock_t begin = std::clock();
    wall.push_back(seconds_of(work));
    cpu.push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The checkpoint, made once for all cases.
class Model {
 public:
  Model() {
    prepare_process_environment();
    at::set_num_threads(engine_threads());
    const char* given = std::getenv("MOESCOPE_BENCH_FOLDER");
    folder_ = given ? std::filesystem::path(given)
                    : std::filesystem::temp_directory_path() / ("moescope_olmoe_" + std::to_string(::getpid()));
    if (!std::filesystem::exists(folder_ / "config.json")) {
      SynthOptions options;
      const char* layers = std::getenv("MOESCOPE_BENCH_LAYERS");
      options.layers = layers ? static_cast<std::uint32_t>(std::atoi(layers)) : 4;
      options.experts = 64;
      options.k = 8;
      options.hidden = 2048;
      options.intermediate = 1024;
      options.heads = 16;
      options.vocabulary = 1024;
      if (!write_random_checkpoint(options, folder_)) std::abort();
      made_ = true;
    }
    checkpoint = Checkpoint::open(folder_).value();
  }
  ~Model() {
    if (made_) std::filesystem::remove_all(folder_);
  }
  std::shared_ptr<const Checkpoint> checkpoint;

 private:
  std::filesystem::path folder_;
  bool made_ = false;
};

Model& model() {
  static Model only;
  return only;
}

// Weights of one compute type; only one type is held at a time.
Weights& weights_of(at::ScalarType type) {
  static std::map<at::ScalarType, std::unique_ptr<Weights>> held;
  if (!held.contains(type)) {
    held.clear();
    held.emplace(type, std::make_unique<Weights>(model().checkpoint, type, at::kCPU, Residence{}));
  }
  return *held.at(type);
}

// One case: tokens of one sequence in one compute type.
class Case {
 public:
  Case(std::int64_t tokens, at::ScalarType type) : tokens_(tokens), type_(type), weights_(weights_of(type)) {
    const ModelSpec& spec = model().checkpoint->spec();
    std::mt19937 bits(1);
    SequenceInput sequence;
    for (std::int64_t t = 0; t < tokens; ++t) {
      sequence.ids.push_back(static_cast<std::int32_t>(bits() % spec.vocabulary));
    }
    request_.sequences = {std::move(sequence)};
    request_.record.token_loss = false;
    plan_ = plan_run(request_, spec).value();
    const Segment segment = capture();
    for (std::size_t row = 0; row < segment.rows; ++row) {
      std::vector<std::int64_t>& rows = rows_.emplace_back(spec.layers[row].experts, 0);
      for (std::size_t t = 0; t < segment.tokens; ++t) {
        for (std::size_t slot = 0; slot < segment.slots; ++slot) ++rows[segment.id(row, t, slot)];
      }
    }
  }

  Segment capture() {
    const c10::InferenceMode inference;
    const ModelSpec& spec = model().checkpoint->spec();
    const SequenceGroup& group = plan_.groups.at(0);
    Recorder recorder(request_.record, plan_, group, spec.vocabulary, nullptr);
    if (!run_group(request_, plan_, group, spec, weights_, &recorder, {})) std::abort();
    return recorder.take_segment();
  }

  // Large products one after another with all threads, experts one per thread.
  void products() {
    const c10::InferenceMode inference;
    const ModelSpec& spec = model().checkpoint->spec();
    const std::int64_t hidden = spec.hidden, width = spec.heads * spec.head_dim;
    const at::Tensor x = at::rand({tokens_, hidden}).to(type_);
    const at::Tensor heads = at::rand({spec.heads, tokens_, spec.head_dim});
    for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
      const blocks::LayerWeights& w = *weights_.layer(l, {}).value();
      benchmark::DoNotOptimize(at::mm(x, w.attention.qkv.t()));
      // A token sees half the others on average, so half of the scores are work.
      for (std::int64_t first = 0; first < tokens_; first += 256) {
        const std::int64_t rows = std::min<std::int64_t>(256, tokens_ - first);
        const at::Tensor keys = heads.narrow(1, 0, first + rows);
        const at::Tensor scores = at::bmm(heads.narrow(1, first, rows), keys.transpose(1, 2));
        benchmark::DoNotOptimize(at::bmm(scores, keys));
      }
      benchmark::DoNotOptimize(at::mm(x.narrow(1, 0, width), w.attention.o.t()));
      benchmark::DoNotOptimize(at::mm(x.to(at::kFloat), w.router.t()));
      blocks::kernels::parallel_tasks(static_cast<std::int64_t>(w.experts.size()), [&](std::int64_t e) {
        const auto i = static_cast<std::size_t>(e);
        if (rows_[l][i] == 0) return;
        const at::Tensor both = at::mm(x.narrow(0, 0, rows_[l][i]), w.experts[i].gate_up.t());
        benchmark::DoNotOptimize(at::mm(both.narrow(1, 0, spec.layers[l].intermediate), w.experts[i].down.t()));
      });
    }
  }

  // What one writes first.
  void plain() {
    const c10::InferenceMode inference;
    const ModelSpec& spec = model().checkpoint->spec();
    const LayerSpec& layer = spec.layers.front();
    at::Tensor h = at::rand({tokens_, static_cast<std::int64_t>(spec.hidden)}).to(type_);
    const at::Tensor hidden_keys = at::triu(at::full({tokens_, tokens_}, -1e9), 1).to(type_);
    const auto norm = [&](const at::Tensor& x, const at::Tensor& w) {
      const at::Tensor wide = x.to(at::kFloat);
      return (wide * at::rsqrt(at::mean(wide * wide, {-1}, true) + spec.norm_epsilon) * w).to(type_);
    };
    for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
      const blocks::LayerWeights& w = *weights_.layer(l, {}).value();
      const at::Tensor qkv = at::mm(norm(h, w.input_norm), w.attention.qkv.t());
      const auto heads = [&](std::int64_t part) {
        const auto width = static_cast<std::int64_t>(spec.hidden);
        return qkv.narrow(1, part * width, width).reshape({tokens_, spec.heads, spec.head_dim}).transpose(0, 1);
      };
      const at::Tensor scores = at::matmul(heads(0), heads(1).transpose(1, 2)) / std::sqrt(double(spec.head_dim));
      const at::Tensor mixed = at::matmul(at::softmax((scores + hidden_keys).to(at::kFloat), -1).to(type_), heads(2));
      h = h + at::mm(mixed.transpose(0, 1).reshape({tokens_, -1}), w.attention.o.t());
      const at::Tensor x = norm(h, w.post_norm);
      const auto [weights, ids] = at::topk(at::softmax(at::mm(x.to(at::kFloat), w.router.t()), -1), layer.k, -1);
      const auto [sorted, order] = at::sort(ids.reshape({-1}));
      const at::Tensor token = at::div(order, static_cast<std::int64_t>(layer.k), "floor");
      const at::Tensor counts = at::bincount(sorted, {}, layer.experts);
      const at::Tensor gathered = at::index_select(x, 0, token);
      const at::Tensor factor = at::index_select(weights.reshape({-1}), 0, order).to(type_).unsqueeze(1);
      at::Tensor sum = at::zeros_like(h);
      std::int64_t first = 0;
      for (std::uint32_t e = 0; e < layer.experts; ++e) {
        const auto rows = counts[e].item<std::int64_t>();
        if (rows == 0) continue;
        const std::vector<at::Tensor> halves =
            at::chunk(at::mm(gathered.narrow(0, first, rows), w.experts[e].gate_up.t()), 2, 1);
        const at::Tensor out = at::mm(at::silu(halves[0]) * halves[1], w.experts[e].down.t());
        sum.index_add_(0, token.narrow(0, first, rows), out * factor.narrow(0, first, rows));
        first += rows;
      }
      h = h + sum;
    }
    benchmark::DoNotOptimize(h);
  }

 private:
  std::int64_t tokens_;
  at::ScalarType type_;
  Weights& weights_;
  RunRequest request_;
  RunPlan plan_;
  std::vector<std::vector<std::int64_t>> rows_;  // [layers][experts]
};

void olmoe(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  Case one(tokens, state.range(1) == 0 ? at::kBFloat16 : at::kFloat);
  Cost capture, products, plain;
  for (auto _ : state) {
    products.add([&] { one.products(); });
    plain.add([&] { one.plain(); });
    capture.add([&] { benchmark::DoNotOptimize(one.capture()); });
    state.SetIterationTime(capture.wall.back());
  }
  const auto rate = [&](const Cost& cost) { return static_cast<double>(tokens) / median(cost.wall); };
  state.SetLabel(state.range(1) == 0 ? "bfloat16" : "float32");
  state.counters["capture_tok_s"] = rate(capture);
  state.counters["products_tok_s"] = rate(products);
  state.counters["plain_tok_s"] = rate(plain);
  state.counters["share_of_products"] = median(products.wall) / median(capture.wall);
  state.counters["plain_share"] = median(products.wall) / median(plain.wall);
  state.counters["share_of_products_cpu"] = median(products.cpu) / median(capture.cpu);
  state.counters["plain_share_cpu"] = median(products.cpu) / median(plain.cpu);
}
BENCHMARK(olmoe)
    ->Args({512, 0})
    ->Args({2048, 0})
    ->Args({512, 1})
    ->Args({2048, 1})
    ->ArgNames({"tokens", "float32"})
    ->UseManualTime()
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond);

// Reads far more than the caches hold with all threads: what a token's weights can at best be read in. Returns bytes.
double read_memory(Cost& cost) {
  static const at::Tensor numbers = at::ones({64 << 20});
  cost.add([&] { benchmark::DoNotOptimize(at::sum(numbers).item<float>()); });
  return static_cast<double>(numbers.nbytes());
}

// One token at a time after 64 others. share_of_memory = bytes of the weights that a token uses, over what memory could
// have brought in that time.
void decode(benchmark::State& state) {
  const c10::InferenceMode inference;
  const bool narrow = state.range(0) == 0;
  Weights& weights = weights_of(narrow ? at::kBFloat16 : at::kFloat);
  const ModelSpec& spec = model().checkpoint->spec();
  RunRequest request;
  request.sequences = {SequenceInput{std::vector<std::int32_t>(64, 7), "", {}, {}}};
  request.record.token_loss = false;
  const RunPlan plan = plan_run(request, spec).value();
  SequenceCache cache;
  DecisionLog log(request.record);
  if (!run_tokens(request, plan, 0, request.sequences[0].ids, cache, spec, weights, log, {})) std::abort();
  const double embedding = 1.0 * spec.vocabulary * spec.hidden;  // only one row of it is read
  const double bytes = (static_cast<double>(spec.parameters_active()) - embedding) * (narrow ? 2 : 4);
  Cost tokens, memory;
  double memory_bytes = 0;
  std::mt19937 bits(2);
  for (auto _ : state) {
    const auto id = static_cast<std::int32_t>(bits() % spec.vocabulary);
    if (tokens.wall.size() % 4 == 0) memory_bytes = read_memory(memory);
    tokens.add([&] {
      if (!run_tokens(request, plan, 0, std::span(&id, 1), cache, spec, weights, log, {})) std::abort();
    });
    state.SetIterationTime(tokens.wall.back());
  }
  state.SetLabel(narrow ? "bfloat16" : "float32");
  state.counters["tok_s"] = 1.0 / median(tokens.wall);
  const double decode_rate = bytes / median(tokens.wall), memory_rate = memory_bytes / median(memory.wall);
  state.counters["memory_GB_s"] = memory_rate * 1e-9;
  state.counters["share_of_memory"] = decode_rate / memory_rate;
  state.counters["share_of_memory_cpu"] = bytes / median(tokens.cpu) / (memory_bytes / median(memory.cpu));
}
BENCHMARK(decode)->Arg(0)->Arg(1)->ArgName("float32")->UseManualTime()->Iterations(48)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
