// Counting on 10^6 synthetic tokens of an OLMoE-1B-7B shape (16 rows, 64 experts, top-8): load of all rows,
// co-activation of all rows and affinity of all neighbouring rows, beside a straightforward token-by-token loop over
// the same trace in the same run.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/analysis/analysis.h"

namespace moescope {
namespace {

constexpr std::size_t rows = 16, experts = 64, slots = 8, tokens = 1'000'000, sequence_length = 1000;

// Uneven experts, with a part of each token's choice kept from the row before: routes that have load and affinity.
const Trace& trace() {
  static const Trace made = [] {
    std::vector<std::uint8_t> ids(rows * tokens * slots);
    std::vector<std::uint32_t> last(tokens);
    std::uint64_t state = 1;
    const auto draw = [&] {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return static_cast<std::uint32_t>(state >> 33U);
    };
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t t = 0; t < tokens; ++t) {
        const std::uint32_t random = draw();
        const std::uint32_t first =
            random % 4 == 0 ? (last[t] * 5 + 1) % experts : std::min(random >> 2U & 63U, random >> 8U & 63U);
        const std::uint32_t stride = (random >> 14U & 31U) * 2 + 1;  // odd: eight different experts
        for (std::size_t s = 0; s < slots; ++s) {
          ids[(r * tokens + t) * slots + s] = static_cast<std::uint8_t>((first + s * stride) % experts);
        }
        last[t] = first;
      }
    }
    std::vector<std::int32_t> sequences(tokens);
    for (std::size_t t = 0; t < tokens; ++t) sequences[t] = static_cast<std::int32_t>(t / sequence_length);
    auto segment = std::make_shared<Segment>();
    segment->rows = rows;
    segment->tokens = tokens;
    segment->slots = slots;
    segment->ids8 = Column<std::uint8_t>::own(std::move(ids));
    segment->sequence_ids = Column<std::int32_t>::own(std::move(sequences));
    auto info = std::make_shared<TraceInfo>();
    for (std::size_t r = 0; r < rows; ++r) {
      RouterRow row;
      row.layer = static_cast<int>(r);
      row.experts = experts;
      row.k = slots;
      info->rows.push_back(row);
    }
    Trace result;
    result.name = "bench";
    result.info = info;
    result.segments = {segment};
    return result;
  }();
  return made;
}

// The loop one writes first: every token, every row, every slot, tables of all rows at once.
void straightforward(benchmark::State& state) {
  const Segment& segment = *trace().segments[0];
  for (auto _ : state) {
    std::vector<std::uint64_t> load(rows * experts), both(rows * experts * experts), next(rows * experts * experts);
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t filled = segment.filled(r, t);
        for (std::size_t i = 0; i < filled; ++i) {
          const std::uint32_t a = segment.id(r, t, i);
          ++load[r * experts + a];
          for (std::size_t j = 0; j < filled; ++j) {
            if (j != i) ++both[(r * experts + a) * experts + segment.id(r, t, j)];
          }
          if (r + 1 == rows) continue;
          const std::size_t filled_next = segment.filled(r + 1, t);
          for (std::size_t j = 0; j < filled_next; ++j) ++next[(r * experts + a) * experts + segment.id(r + 1, t, j)];
        }
      }
    }
    benchmark::DoNotOptimize(load.data());
    benchmark::DoNotOptimize(both.data());
    benchmark::DoNotOptimize(next.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}

void run(benchmark::State& state, const char* name, const nlohmann::json& params) {
  const auto result = run_analysis(name, trace(), {}, params);
  if (!result) state.SkipWithError(result.error().text().c_str());
}

void expert_load(benchmark::State& state) {
  (void)trace();
  for (auto _ : state) run(state, "expert_load", nullptr);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}
void coactivation_of_all_rows(benchmark::State& state) {
  (void)trace();
  for (auto _ : state) {
    for (std::size_t r = 0; r < rows; ++r) run(state, "coactivation", {{"row", r}});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}
void affinity_of_all_rows(benchmark::State& state) {
  (void)trace();
  for (auto _ : state) run(state, "affinity", {{"null_draws", 0}});
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}
void load_coactivation_affinity(benchmark::State& state) {
  (void)trace();
  for (auto _ : state) {
    run(state, "expert_load", nullptr);
    for (std::size_t r = 0; r < rows; ++r) run(state, "coactivation", {{"row", r}});
    run(state, "affinity", {{"null_draws", 0}});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}
void affinity_with_null(benchmark::State& state) {
  (void)trace();
  for (auto _ : state) run(state, "affinity", nullptr);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}

BENCHMARK(straightforward)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(load_coactivation_affinity)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(expert_load)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(coactivation_of_all_rows)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(affinity_of_all_rows)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(affinity_with_null)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(1);

}  // namespace
}  // namespace moescope
