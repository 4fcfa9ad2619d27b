// Co-activation: which experts of one row are chosen together. C_ij = tokens with i and j among their experts.
#include <fmt/format.h>

#include "core/analysis/common.h"
#include "core/analysis/kernels/counting.h"
#include "core/analysis/pairs.h"

namespace moescope {
namespace {

std::string coactivation_unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  return trace.max_slots() < 2 ? "has one expert per token, so none are chosen together" : too_large_for_pairs(trace);
}

Expected<Result> run_coactivation(const AnalysisInput& input) {
  const auto row = row_parameter(input, "row");
  if (!row) return fail(row.error());
  const RouterRow& router = input.trace.rows()[*row];
  if (!keeps_row(input.filter, *row)) {
    return fail(ErrorKind::usage, "the filter leaves out " + row_name(router), input.filter.filter.text,
                "Choose a row that the filter keeps");
  }
  const std::size_t experts = router.experts;
  const kernels::CountJob job{input.work, {"Co-activation", 0, 1}};
  std::vector<kernels::PairCounts> tables;
  const kernels::Rows twice{*row, *row};
  if (auto done = kernels::count_pairs(input.trace, input.filter.mask, {&twice, 1}, kernels::Ranks::all, tables, job);
      !done) {
    return fail(done.error());
  }
  const kernels::PairCounts& counts = tables.front();
  const std::vector<double> single(counts.from.begin(), counts.from.end());
  const auto tokens = static_cast<double>(counts.tokens);
  double uses = 0;
  for (const double n : single) uses += n;

  Result result;
  result.title = "Co-activation, " + row_name(router);
  const std::string axis = "expert of " + row_name(router);
  Matrix count{"count", "Tokens with both experts", "tokens", axis, axis};
  Matrix conditional{"conditional", "Share of an expert's tokens that also have the other", "probability", axis, axis};
  Matrix lift{"lift", "Together against independence", "times independent", axis, axis};
  Matrix jaccard{"jaccard", "Overlap of the two experts' tokens", "fraction", axis, axis};
  count.formula = "C_ij: tokens with i and j among their experts; the diagonal is left out";
  conditional.formula = "C_ij / n_i, n_i = tokens with i";
  lift.formula = "C_ij · T / (n_i · n_j), T = tokens";
  jaccard.formula = "C_ij / (n_i + n_j - C_ij)";
  for (Matrix* matrix : {&count, &conditional, &lift, &jaccard}) {
    matrix->row_names = matrix->column_names = expert_names(router.experts);
    matrix->values.assign(experts * experts, no_value);
    matrix->absence.assign(experts * experts, Absence::not_recorded);
    matrix->n = single;
  }
  for (std::size_t i = 0; i < experts; ++i) {
    for (std::size_t j = 0; j < experts; ++j) {
      const std::size_t cell = i * experts + j;
      if (i == j || !(single[i] > 0)) continue;
      const auto both = static_cast<double>(counts.cells[cell]);
      const auto set = [&](Matrix& matrix, double value) {
        matrix.values[cell] = value;
        matrix.absence[cell] = Absence::present;
      };
      set(count, both);
      set(conditional, both / single[i]);
      set(jaccard, both / (single[i] + single[j] - both));
      if (single[j] > 0) set(lift, both * tokens / (single[i] * single[j]));
    }
  }
  result.matrices = {std::move(count), std::move(conditional), std::move(lift), std::move(jaccard)};
  const double k = tokens > 0 ? uses / tokens : no_value;
  const auto e = static_cast<double>(experts);
  result.scalars.push_back({"uniform_lift",
                            "Lift of even, independent choice",
                            "times independent",
                            "(k-1) · E / (k · (E-1)): below 1, as an expert is chosen once per token",
                            {experts > 1 ? (k - 1) * e / (k * (e - 1)) : no_value, no_value, no_value, tokens}});
  note_bad_ids(result, counts.bad);
  return result;
}

}  // namespace

AnalysisSpec coactivation_analysis() {
  return AnalysisSpec{"coactivation",
                      "Co-activation",
                      "Which experts of one row are chosen together for a token.",
                      1,
                      {row_parameter_spec("row", "Router row.", 0)},
                      coactivation_unavailable,
                      run_coactivation};
}

}  // namespace moescope
