// bench: how fast this machine counts the routes of a trace.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/open_input.h"
#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/simd.h"
#include "core/analysis/routes.h"
#include "core/base/threads.h"

namespace moescope::cli {
namespace {

struct BenchOptions {
  std::string trace;
  int repeats = 3;
  bool json = false;
};

// Best time in seconds; the first error ends it.
template <typename Work>
Expected<double> best_time(int repeats, Work work) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (auto done = work(); !done) return fail(done.error());
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = i == 0 ? took : std::min(best, took);
  }
  return best;
}

Expected<void> run_bench(const BenchOptions& options) {
  const auto opened = open_trace(options.trace);
  if (!opened) return fail(opened.error());
  const Trace& trace = **opened;
  if (!trace.has_ids()) {
    return fail(ErrorKind::input, "this trace did not record expert ids, so there is nothing to count", options.trace,
                "Give a trace with ids");
  }
  const ProgressBar bar("Counting");
  kernels::CountJob job;
  job.work = bar.work();
  std::vector<std::uint32_t> rows;
  std::vector<kernels::Rows> same, next;
  for (std::uint32_t r = 0; r < trace.rows().size(); ++r) {
    rows.push_back(r);
    same.push_back({r, r});
    if (const int to = row_at_distance(trace.rows(), r, 1); to >= 0)
      next.push_back({r, static_cast<std::uint32_t>(to)});
  }
  const auto tokens = static_cast<double>(trace.token_count());
  const auto tables = [&](const std::vector<kernels::Rows>& pairs) -> Expected<void> {
    std::vector<kernels::PairCounts> counts;
    return kernels::count_pairs(trace, {}, pairs, kernels::Ranks::all, counts, job);
  };
  nlohmann::json out{
      {"trace", options.trace}, {"tokens", trace.token_count()}, {"rows", rows.size()}, {"threads", job_threads()}};
  Facts facts(fmt::format("{}: {} tokens, {} rows, on {} threads; tokens per second", trace.name,
                          with_commas(trace.token_count()), rows.size(), job_threads()));
  const std::string asked = kernels::active_kernels().name;
  for (const kernels::KernelSet* set : kernels::runnable_kernels()) {
    (void)kernels::use_kernels(set->name);
    const auto load = best_time(options.repeats, [&]() -> Expected<void> {
      const auto counted = kernels::count_load(trace, {}, rows, job);
      return counted ? Expected<void>{} : Expected<void>(fail(counted.error()));
    });
    if (!load) return fail(load.error());
    const auto together = best_time(options.repeats, [&] { return tables(same); });
    if (!together) return fail(together.error());
    const auto affinity = best_time(options.repeats, [&] { return tables(next); });
    if (!affinity) return fail(affinity.error());
    facts.add(set->name, fmt::format("load {:.3g}, co-activation {:.3g}, affinity {:.3g}  ({})", tokens / *load,
                                     tokens / *together, tokens / *affinity, set->instructions));
    out["kernels"][set->name] = {
        {"load", tokens / *load}, {"coactivation", tokens / *together}, {"affinity", tokens / *affinity}};
  }
  (void)kernels::use_kernels(asked);
  if (auto fault = trace.source_fault()) return fail(std::move(*fault));
  return options.json ? print_json(out) : print(facts.text());
}

}  // namespace

void add_bench(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure how fast this machine counts the routes of a trace");
  command->add_option("trace", options->trace, "Trace file")->required();
  command->add_option("--repeats", options->repeats, "The best of so many runs counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &chosen] { chosen.run = [options] { return run_bench(*options); }; });
}

}  // namespace moescope::cli
