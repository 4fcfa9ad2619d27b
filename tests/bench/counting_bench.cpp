// The counting kernels on structured traces of a million tokens: load, co-activation, affinity of neighbouring rows and
// at four distances, on every instruction set of this machine, beside the plain loop over the same trace and the
// machine's own limits. One program, one run:
//   counting_bench [--threads 2] [--tokens 1000000] [--shape 16x64x8]… [--scaling] [--write FOLDER] [--json FILE]
//   counting_bench [--threads 2] --serve TRACE    reads lines "SET TASK" and answers each with seconds, for
//   compare_python.py
// --scaling counts 100 thousand to 10 million tokens of the smallest and the largest shape; --write leaves the traces
// there as files, for compare_python.py. Each figure is the best of several repetitions: by the clock, and by the
// processor time of all threads shared among them, which is what the clock would show on a machine with nothing else to
// do.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/simd.h"
#include "core/trace/synth_trace.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {

using kernels::PairCounts;
using kernels::Rows;

struct Shape {
  std::uint32_t layers, experts, k;
  [[nodiscard]] std::string name() const {
    return std::to_string(layers) + "x" + std::to_string(experts) + "x" + std::to_string(k);
  }
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of all threads of the process so far.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Times {
  double wall = std::numeric_limits<double>::infinity();
  double processor = std::numeric_limits<double>::infinity();
};

// Best times of a few runs: at least three, and until a second has passed.
template <typename Work>
Times best_time(Work work, int least = 3) {
  Times best;
  double spent = 0;
  for (int i = 0; i < least || (spent < 1.0 && i < 20); ++i) {
    const double begin = seconds(), used = processor_seconds();
    work();
    const double took = seconds() - begin;
    best.processor = std::min(best.processor, processor_seconds() - used);
    best.wall = std::min(best.wall, took);
    spent += took;
  }
  return best;
}

// What the machine can do: each on `threads` threads at once.
template <typename Work>
double on_threads(int threads, Work work) {
  const Times times = best_time([&] {
    std::vector<std::jthread> all;
    for (int t = 0; t < threads; ++t) all.emplace_back(work, t);
  });
  return times.processor / threads;
}

void print_limits(int threads, nlohmann::json& out) {
  constexpr std::size_t words = std::size_t{32} << 20U;  // 256 MB for each thread
  std::vector<std::vector<std::uint64_t>> arrays(static_cast<std::size_t>(threads),
                                                 std::vector<std::uint64_t>(words, 1));
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads) * 8);
  const double read = on_threads(threads, [&](int t) {
    std::uint64_t sum = 0;
    for (const std::uint64_t word : arrays[static_cast<std::size_t>(t)]) sum ^= word;
    sums[static_cast<std::size_t>(t) * 8] = sum;
  });
  const double bandwidth = static_cast<double>(words) * 8 * threads / read / 1e9;
  std::printf("machine limits on %d threads, by processor time: memory read %.1f GB/s", threads, bandwidth);
  out["read_gb_per_s"] = bandwidth;
  for (const std::size_t experts : {std::size_t{64}, std::size_t{128}, std::size_t{256}}) {
    constexpr std::size_t steps = std::size_t{1} << 24U;
    std::vector<std::vector<std::uint32_t>> tables(static_cast<std::size_t>(threads),
                                                   std::vector<std::uint32_t>(experts * experts)),
        places(static_cast<std::size_t>(threads));
    for (int t = 0; t < threads; ++t) {
      std::uint64_t state = static_cast<std::uint64_t>(t) + 1;
      auto& mine = places[static_cast<std::size_t>(t)];
      mine.resize(steps);
      for (auto& place : mine) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        place = static_cast<std::uint32_t>((state >> 33U) % (experts * experts));
      }
    }
    const double took = on_threads(threads, [&](int t) {
      auto& table = tables[static_cast<std::size_t>(t)];
      for (const std::uint32_t place : places[static_cast<std::size_t>(t)]) ++table[place];
    });
    const double rate = static_cast<double>(steps) * threads / took / 1e9;
    std::printf(", increments of a %zux%zu table %.2f G/s", experts, experts, rate);
    out["increments_g_per_s"][std::to_string(experts)] = rate;
  }
  std::printf("\n");
}

struct Counts {
  std::vector<std::uint64_t> load, both, next;
};

// The loop that one writes first: every token, every row, every slot.
Counts plain_loop(const Trace& trace, std::size_t tokens, bool load, bool both, bool next) {
  const Segment& segment = *trace.segments[0];
  const std::size_t rows = trace.rows().size(), experts = trace.rows()[0].experts, slots = segment.slots;
  Counts counts{std::vector<std::uint64_t>(load ? rows * experts : 0),
                std::vector<std::uint64_t>(both ? rows * experts * experts : 0),
                std::vector<std::uint64_t>(next ? rows * experts * experts : 0)};
  const std::uint8_t* const ids = segment.ids8.values.data();
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = 0; r < rows; ++r) {
      const std::uint8_t* const a = ids + (r * segment.tokens + t) * slots;
      if (load) {
        for (std::size_t i = 0; i < slots; ++i) ++counts.load[r * experts + a[i]];
      }
      if (both) {
        for (std::size_t i = 0; i < slots; ++i) {
          for (std::size_t j = 0; j < slots; ++j) ++counts.both[(r * experts + a[i]) * experts + a[j]];
        }
      }
      if (!next || r + 1 == rows) continue;
      const std::uint8_t* const b = a + segment.tokens * slots;
      for (std::size_t i = 0; i < slots; ++i) {
        for (std::size_t j = 0; j < slots; ++j) ++counts.next[(r * experts + a[i]) * experts + b[j]];
      }
    }
  }
  return counts;
}

std::vector<Rows> pairs_at(const Trace& trace, std::uint32_t distance) {
  std::vector<Rows> pairs;
  for (std::uint32_t r = 0; r + distance < trace.rows().size(); ++r) pairs.push_back({r, r + distance});
  return pairs;
}

void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "counting_bench: %s\n", what);
  std::exit(1);
}

std::vector<PairCounts> count(const Trace& trace, const std::vector<Rows>& pairs) {
  std::vector<PairCounts> tables;
  must(kernels::count_pairs(trace, {}, pairs, kernels::Ranks::all, tables).has_value(), "counting failed");
  return tables;
}

std::vector<kernels::LoadCounts> count_load(const Trace& trace) {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < trace.rows().size(); ++r) rows.push_back(r);
  auto loads = kernels::count_load(trace, {}, rows);
  must(loads.has_value(), "counting failed");
  return std::move(*loads);
}

// Every count of the kernels against the plain loop's.
void compare(const Trace& trace) {
  const std::size_t experts = trace.rows()[0].experts;
  const Counts truth = plain_loop(trace, trace.token_count(), true, true, true);
  const auto loads = count_load(trace);
  const auto both = count(trace, pairs_at(trace, 0));
  const auto next = count(trace, pairs_at(trace, 1));
  for (std::size_t r = 0; r < trace.rows().size(); ++r) {
    for (std::size_t e = 0; e < experts; ++e) must(loads[r].counts[e] == truth.load[r * experts + e], "load differs");
    for (std::size_t c = 0; c < experts * experts; ++c) {
      must(both[r].cells[c] == truth.both[r * experts * experts + c], "co-activation differs");
      must(r + 1 == trace.rows().size() || next[r].cells[c] == truth.next[r * experts * experts + c],
           "affinity differs");
    }
  }
}

struct Task {
  const char* name;
  std::vector<Rows> pairs;  // empty = load
};

void run_shape(const Shape& shape, std::uint64_t tokens, int threads, const std::string& folder, nlohmann::json& out) {
  SynthTraceOptions options;
  options.layers = shape.layers;
  options.experts = shape.experts;
  options.k = shape.k;
  options.tokens = tokens;
  auto made = synth_trace(options);
  must(made.has_value(), "no trace");
  const Trace& trace = *made;
  if (!folder.empty()) {
    const auto path = std::filesystem::path(folder) / (shape.name() + ".routes.safetensors");
    must(write_trace(trace, path).has_value(), "the trace cannot be written");
  }
  std::vector<Rows> far;
  for (const std::uint32_t d : {1U, 2U, 3U, 4U}) {
    for (const Rows& pair : pairs_at(trace, d)) far.push_back(pair);
  }
  const std::vector<Task> tasks{
      {"load", {}}, {"co-activation", pairs_at(trace, 0)}, {"affinity", pairs_at(trace, 1)}, {"affinity 1-4", far}};
  std::printf("\n%s, %llu tokens; tokens per second\n%-24s", shape.name().c_str(),
              static_cast<unsigned long long>(tokens), "");
  for (const Task& task : tasks) std::printf("%16s", task.name);
  std::printf("\n");
  nlohmann::json& mine = out[shape.name()];
  for (const auto* set : kernels::runnable_kernels()) {
    must(kernels::use_kernels(set->name), "no such instruction set");
    compare(trace);
    std::vector<Times> times;
    for (const Task& task : tasks) {
      times.push_back(
          best_time([&] { task.pairs.empty() ? (void)count_load(trace) : (void)count(trace, task.pairs); }));
    }
    std::printf("%-24s", set->name);
    for (const Times& t : times) std::printf("%16.4g", static_cast<double>(tokens) / t.wall);
    std::printf("   equal to the plain loop in every count\n%-24s", "  by processor time");
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const double rate = static_cast<double>(tokens) * threads / times[i].processor;
      std::printf("%16.4g", rate);
      mine[set->name][tasks[i].name] = {{"wall", static_cast<double>(tokens) / times[i].wall}, {"processor", rate}};
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  (void)kernels::use_kernels(kernels::runnable_kernels().front()->name);
  std::printf("%-24s", "plain loop, one thread");
  const std::size_t part = std::min<std::size_t>(tokens, 200'000);
  for (int task = 0; task < 3; ++task) {
    const Times times = best_time([&] { (void)plain_loop(trace, part, task == 0, task == 1, task == 2); }, 1);
    std::printf("%16.4g", static_cast<double>(part) / times.processor);
    mine["plain loop"][tasks[static_cast<std::size_t>(task)].name]["processor"] =
        static_cast<double>(part) / times.processor;
  }
  std::printf("\n");
}

// Time per token must not grow with the trace. The largest needs 4.6 GB for its ids.
void run_scaling(const Shape& shape, int threads, nlohmann::json& out) {
  std::printf("\n%s, growing; tokens per second by processor time\n%12s%16s%16s%16s\n", shape.name().c_str(), "tokens",
              "load", "co-activation", "affinity");
  for (const std::uint64_t tokens : {100'000ULL, 300'000ULL, 1'000'000ULL, 3'000'000ULL, 10'000'000ULL}) {
    const double bytes = static_cast<double>(tokens) * shape.layers * (shape.k + 1.0);
    const double pages = static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    if (bytes * 1.3 > pages) {
      std::printf("%12llu  skipped: %.1f GB are needed and %.1f GB are free\n", static_cast<unsigned long long>(tokens),
                  bytes * 1.3 / 1e9, pages / 1e9);
      continue;
    }
    SynthTraceOptions options;
    options.layers = shape.layers;
    options.experts = shape.experts;
    options.k = shape.k;
    options.tokens = tokens;
    const auto trace = synth_trace(options);
    must(trace.has_value(), "no trace");
    const auto rate = [&](const Times& t) { return static_cast<double>(tokens) * threads / t.processor; };
    const double load = rate(best_time([&] { (void)count_load(*trace); }));
    const double both = rate(best_time([&] { (void)count(*trace, pairs_at(*trace, 0)); }));
    const double next = rate(best_time([&] { (void)count(*trace, pairs_at(*trace, 1)); }));
    std::printf("%12llu%16.4g%16.4g%16.4g\n", static_cast<unsigned long long>(tokens), load, both, next);
    std::fflush(stdout);
    out["scaling"][shape.name()][std::to_string(tokens)] = {
        {"load", load}, {"co-activation", both}, {"affinity", next}};
  }
}

// Runs one task on one instruction set for every line that comes in, and answers with the seconds by the clock, the
// processor seconds shared among the threads, and the tokens. Two programs can so take turns on a machine that has
// other work, too.
int serve(const std::string& path, int threads) {
  const auto opened = read_trace(path);
  must(opened.has_value(), "the trace cannot be read");
  const Trace& trace = *opened;
  std::string set, task;
  while (std::cin >> set >> task) {
    must(kernels::use_kernels(set), "no such instruction set");
    const double begin = seconds(), used = processor_seconds();
    if (task == "load") {
      (void)count_load(trace);
    } else {
      (void)count(trace, pairs_at(trace, task == "affinity" ? 1 : 0));
    }
    const double processor = (processor_seconds() - used) / threads;
    std::cout << seconds() - begin << " " << processor << " " << trace.token_count() << std::endl;
  }
  return 0;
}

}  // namespace

int run_counting_bench(int argc, char** argv) {
  int threads = 2;
  std::uint64_t tokens = 1'000'000;
  bool scaling = false;
  std::string folder, json, served;
  std::vector<Shape> shapes;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    Shape shape{};
    if (option == "--threads") {
      threads = std::clamp(std::atoi(value()), 1, 256);
    } else if (option == "--tokens") {
      tokens = std::strtoull(value(), nullptr, 10);
    } else if (option == "--scaling") {
      scaling = true;
    } else if (option == "--write") {
      folder = value();
    } else if (option == "--json") {
      json = value();
    } else if (option == "--serve") {
      served = value();
    } else if (option == "--shape" && std::sscanf(value(), "%ux%ux%u", &shape.layers, &shape.experts, &shape.k) == 3) {
      shapes.push_back(shape);
    } else {
      std::fprintf(stderr, "counting_bench: %s is not understood\n", option.c_str());
      return 1;
    }
  }
  if (shapes.empty()) shapes = {{16, 64, 8}, {48, 128, 8}, {58, 256, 8}};
  setenv("MOESCOPE_THREADS", std::to_string(threads).c_str(), 1);
  if (!served.empty()) return serve(served, threads);
  nlohmann::json out;
  std::printf("counting on %d threads; best of: ", threads);
  for (const auto* set : kernels::runnable_kernels()) std::printf("%s (%s)  ", set->name, set->instructions);
  std::printf("\n");
  print_limits(threads, out["limits"]);
  for (const Shape& shape : shapes) run_shape(shape, tokens, threads, folder, out["shapes"]);
  if (scaling) {
    run_scaling(shapes.front(), threads, out);
    if (shapes.size() > 1) run_scaling(shapes.back(), threads, out);
  }
  if (!json.empty()) std::ofstream(json) << out.dump(1) << "\n";
  return 0;
}

}  // namespace moescope

int main(int argc, char** argv) {
  return moescope::run_counting_bench(argc, argv);
}
