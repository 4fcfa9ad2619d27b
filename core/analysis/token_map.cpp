// Token map: where in the trace experts are used, over as many tokens as there are, in as few cells as a picture has.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <mutex>

#include "core/analysis/common.h"
#include "core/analysis/kept_counts.h"
#include "core/analysis/kernels/route_pyramid.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t map_kept_bytes = std::size_t{192} << 20U;        // of pyramids kept for later calls
constexpr std::size_t decisions_shown_early = std::size_t{32} << 20U;  // from which on a part is worth showing
constexpr std::size_t extend_steps = 16;                               // a cancel loses at most one of them

// A pyramid and who fills it. A cancelled call leaves what it counted to the next one.
struct KeptPyramid {
  KeptPyramid(const Trace& trace, const kernels::PyramidOptions& options) : pyramid(trace, options) {}
  std::timed_mutex filling;
  kernels::RoutePyramid pyramid;
};
using PyramidMemory = KeptCounts<kernels::PyramidOptions, KeptPyramid>;

PyramidMemory& pyramid_memory() {
  static PyramidMemory kept(map_kept_bytes);
  return kept;
}

// What the caller asked for.
struct MapRequest {
  std::size_t first = 0, count = 0, length = 1;  // tokens; tokens of a cell
  std::int64_t row = -1;                         // -1 = all rows
  std::size_t expert_cells = 64;
  [[nodiscard]] std::size_t begin() const { return first / length * length; }
  [[nodiscard]] std::size_t cells() const { return (first + count - begin() + length - 1) / length; }
};

// Tokens of [begin, end) that a mask keeps.
std::size_t kept_tokens(const TokenMask& mask, std::size_t begin, std::size_t end) {
  if (mask.all()) return end - begin;
  std::size_t kept = 0;
  for (std::size_t at = begin; at < end;) {
    const std::size_t bit = at & 63U, span = std::min<std::size_t>(64 - bit, end - at);
    std::uint64_t word = mask.bits[at >> 6U] >> bit;
    if (span < 64) word &= (std::uint64_t{1} << span) - 1;
    kept += static_cast<std::size_t>(std::popcount(word));
    at += span;
  }
  return kept;
}

// An empty matrix over the cells of a request.
Matrix map_matrix(const char* name, std::string title, std::string unit, const char* row_axis,
                  std::vector<std::string> rows, const MapRequest& request, std::size_t tokens) {
  Matrix matrix{name, std::move(title), std::move(unit), row_axis, "token"};
  matrix.row_names = std::move(rows);
  for (std::size_t c = 0; c < request.cells(); ++c) {
    const std::size_t from = request.begin() + c * request.length, to = std::min(tokens, from + request.length) - 1;
    matrix.column_names.push_back(from == to ? std::to_string(from) : fmt::format("{}-{}", from, to));
  }
  matrix.values.assign(matrix.rows() * matrix.columns(), no_value);
  matrix.n.assign(matrix.values.size(), 0);
  matrix.absence.assign(matrix.values.size(), Absence::not_recorded);
  return matrix;
}

class MapMaker {
 public:
  MapMaker(const AnalysisInput& input, const MapRequest& request) : input_(input), request_(request) {
    const std::size_t tokens = input.trace.token_count();
    for (std::size_t c = 0; c < request.cells(); ++c) {
      const std::size_t from = request.begin() + c * request.length;
      filtered_out_.push_back(kept_tokens(input.filter.mask, from, std::min(tokens, from + request.length)) == 0);
    }
  }

  Expected<Result> make(const kernels::RoutePyramid& pyramid) const {
    Result result;
    if (auto done = request_.row < 0 ? add_layers(pyramid, result) : add_experts(pyramid, result); !done) {
      return fail(done.error());
    }
    const auto scalar = [](const char* name, const char* title, std::size_t value) {
      const auto number = static_cast<double>(value);
      return Scalar{name, title, "tokens", "", {number, no_value, no_value, no_value}};
    };
    result.scalars = {scalar("first_token", "First token of the first cell", request_.begin()),
                      scalar("tokens_per_cell", "Tokens of a cell", request_.length)};
    const std::size_t tokens = input_.trace.token_count();
    if (request_.length >= pyramid.finest() && pyramid.counted() < std::min(tokens, request_.first + request_.count)) {
      result.caveats.push_back(fmt::format("Still counting: {} of {} tokens so far.", pyramid.counted(), tokens));
    }
    if (request_.row < 0) {
      result.caveats.push_back(
          "Short cells look uneven by chance: the largest of E counts lies far above their mean while n · k / E is "
          "small.");
    }
    note_bad_ids(result, pyramid.bad());
    return result;
  }

 private:
  [[nodiscard]] kernels::StretchCounts read(const kernels::RoutePyramid& pyramid, std::uint32_t row) const {
    return pyramid.read(input_.trace, input_.filter.mask, row, request_.first, request_.count, request_.length,
                        input_.work);
  }

  // Marks a cell of all matrices, with its n; true when it holds something.
  bool enter(std::initializer_list<Matrix*> matrices, std::size_t cell, std::size_t column, bool kept,
             std::uint64_t tokens) const {
    const Absence state = !kept || filtered_out_[column] ? Absence::filtered_out
                          : tokens > 0                   ? Absence::present
                                                         : Absence::not_recorded;
    for (Matrix* matrix : matrices) {
      matrix->absence[cell] = state;
      matrix->n[cell] = static_cast<double>(tokens);
    }
    return state == Absence::present;
  }

  Expected<void> add_layers(const kernels::RoutePyramid& pyramid, Result& result) const {
    const auto& rows = input_.trace.rows();
    const auto matrix = [&](const char* name, const char* title, const char* unit) {
      return map_matrix(name, title, unit, "layer", row_names(rows), request_, input_.trace.token_count());
    };
    Matrix uneven = matrix("max_over_mean", "Busiest expert over the mean", "times the mean");
    Matrix busiest = matrix("busiest", "Busiest expert", "expert");
    Matrix slots = matrix("slots", "Slots", "slots");
    uneven.formula = "max n_e / mean n_e over the slots of the cell; 1 = even, E/k = the same experts for every token";
    busiest.formula = "argmax n_e, the lowest number among equals";
    slots.formula = "sum of n_e";
    auto done = parallel_for(rows.size(), input_.work, {"Token map", 0.9, 1}, [&](std::size_t r, std::size_t) {
      const auto row = static_cast<std::uint32_t>(r);
      const bool kept = keeps_row(input_.filter, row);
      kernels::StretchCounts counts;
      if (kept) counts = read(pyramid, row);
      for (std::size_t c = 0; c < uneven.columns(); ++c) {
        const std::size_t cell = r * uneven.columns() + c;
        if (!enter({&uneven, &busiest, &slots}, cell, c, kept, kept ? counts.tokens[c] : 0)) continue;
        const auto first = counts.counts.begin() + static_cast<std::ptrdiff_t>(c * counts.experts);
        std::uint64_t sum = 0;
        for (std::size_t e = 0; e < counts.experts; ++e) sum += first[static_cast<std::ptrdiff_t>(e)];
        const auto most = std::max_element(first, first + counts.experts);
        slots.values[cell] = static_cast<double>(sum);
        busiest.values[cell] = static_cast<double>(most - first);
        uneven.values[cell] = static_cast<double>(*most) * counts.experts / static_cast<double>(sum);
      }
    });
    if (!done) return done;
    result.title = "Layers by tokens";
    result.matrices = {std::move(uneven), std::move(busiest), std::move(slots)};
    return {};
  }

  Expected<void> add_experts(const kernels::RoutePyramid& pyramid, Result& result) const {
    const auto row = static_cast<std::uint32_t>(request_.row);
    const RouterRow& router = input_.trace.rows()[row];
    const std::size_t experts = router.experts, cells = std::min(experts, request_.expert_cells);
    std::vector<std::string> names;
    const auto begin_of = [&](std::size_t i) { return experts * i / cells; };
    for (std::size_t i = 0; i < cells; ++i) {
      const std::size_t from = begin_of(i), to = begin_of(i + 1) - 1;
      names.push_back(from == to ? fmt::format("E{:02}", from) : fmt::format("E{:02}-{:02}", from, to));
    }
    const auto matrix = [&](const char* name, const char* title, const char* unit) {
      return map_matrix(name, title, unit, "expert", names, request_, input_.trace.token_count());
    };
    Matrix count = matrix("count", "Slots of each expert", "slots");
    Matrix share = matrix("share", "Share of each expert", "fraction of the cell's slots");
    count.formula = "n_e: slots of the cell that hold an expert of the row of the picture";
    share.formula = "n_e / sum of n over the cell, per expert where a row of the picture holds several";
    const kernels::StretchCounts counts = read(pyramid, row);
    for (std::size_t c = 0; c < count.columns(); ++c) {
      double slots = 0;
      for (std::size_t e = 0; e < experts; ++e) slots += static_cast<double>(counts.counts[c * experts + e]);
      for (std::size_t i = 0; i < cells; ++i) {
        const std::size_t cell = i * count.columns() + c;
        if (!enter({&count, &share}, cell, c, true, counts.tokens[c])) continue;
        double sum = 0;
        for (std::size_t e = begin_of(i); e < begin_of(i + 1); ++e)
          sum += static_cast<double>(counts.counts[c * experts + e]);
        count.values[cell] = sum;
        share.values[cell] = sum / slots / static_cast<double>(begin_of(i + 1) - begin_of(i));
      }
    }
    result.title = "Experts of " + row_name(router) + " by tokens";
    result.matrices = {std::move(share), std::move(count)};
    return {};
  }

  const AnalysisInput& input_;
  const MapRequest& request_;
  std::vector<bool> filtered_out_;  // [cell]
};

// Counts the rest of a pyramid, showing parts of it.
Expected<void> fill_pyramid(const AnalysisInput& input, const MapMaker& maker, KeptPyramid& kept) {
  const std::size_t tokens = input.trace.token_count();
  const std::size_t kept_share = input.filter.mask.all() ? tokens : input.filter.mask.selected;
  const bool shows =
      input.partial && kept_share * input.trace.rows().size() * std::max<std::size_t>(1, input.trace.max_slots()) >=
                           decisions_shown_early;
  for (std::size_t step = 1; step <= extend_steps && kept.pyramid.counted() < tokens; ++step) {
    const std::size_t until = tokens / extend_steps * step + (step == extend_steps ? tokens % extend_steps : 0);
    if (until <= kept.pyramid.counted()) continue;
    const auto share = [&](std::size_t token) {
      return 0.9 * static_cast<double>(token) / static_cast<double>(tokens);
    };
    const kernels::CountJob job{input.work, {"Token map", share(kept.pyramid.counted()), share(until)}};
    if (auto done = kept.pyramid.extend(input.trace, input.filter.mask, until, job); !done) return done;
    // After an eighth, a quarter and a half.
    if (!shows || step == extend_steps || !std::has_single_bit(step) || step == 1) continue;
    auto part = maker.make(kept.pyramid);
    if (!part) return fail(part.error());
    input.partial(std::move(*part));
  }
  return {};
}

Expected<Result> run_map(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const std::size_t tokens = trace.token_count();
  MapRequest request;
  request.first = input.params.at("first").get<std::size_t>();
  if (request.first >= tokens) {
    return fail(ErrorKind::usage,
                fmt::format("the trace has {} tokens, so there is no token {}", tokens, request.first),
                "parameter first", fmt::format("Give a token from 0 to {}", tokens == 0 ? 0 : tokens - 1));
  }
  const auto count = input.params.at("count").get<std::size_t>();
  request.count = count == 0 ? tokens - request.first : std::min(count, tokens - request.first);
  request.row = input.params.at("row").get<std::int64_t>();
  if (request.row >= 0) {
    if (const auto row = row_parameter(input, "row"); !row) return fail(row.error());
  }
  request.expert_cells = input.params.at("expert_cells").get<std::size_t>();
  request.length = kernels::stretch_length(request.first, request.count, input.params.at("cells").get<std::size_t>());
  const MapMaker maker(input, request);
  const kernels::PyramidOptions options;
  const auto kept = pyramid_memory().find_or_keep(PyramidMemory::key_of(input, options), [&] {
    auto made = std::make_shared<KeptPyramid>(trace, options);
    const std::size_t bytes = made->pyramid.bytes();
    return std::pair(std::move(made), bytes);
  });
  std::unique_lock<std::timed_mutex> filling(kept->filling, std::defer_lock);
  while (!filling.try_lock_for(std::chrono::milliseconds(20))) {  // another call fills it, perhaps a cancelled one
    if (input.work.cancelled()) return fail(ErrorKind::cancelled, "stopped", "Token map");
  }
  if (request.length >= kept->pyramid.finest()) {
    if (auto done = fill_pyramid(input, maker, *kept); !done) return fail(done.error());
  }
  return maker.make(kept->pyramid);
}

}  // namespace

AnalysisSpec token_map_analysis() {
  const auto whole = [](const char* name, const char* help, int value, double low, double high) {
    return ParameterSpec{name, "int", help, value, {}, low, high};
  };
  AnalysisSpec spec{
      "token_map",
      "Token map",
      "How evenly each layer is used, or which experts of one layer are, along the trace.",
      1,
      {whole("first", "First token.", 0, 0, 9e15), whole("count", "How many tokens; 0 = to the end.", 0, 0, 9e15),
       whole("cells", "Most cells along the tokens.", 512, 1, 4096),
       whole("row", "Router row whose experts are shown; -1 = all rows, as layers.", -1, -1, 1e6),
       whole("expert_cells", "Most cells along the experts of a row.", 64, 1, 4096)},
      [](const Trace& trace) { return trace.has_ids() ? "" : "did not record expert ids"; },
      run_map};
  spec.stored = false;
  return spec;
}

}  // namespace moescope
