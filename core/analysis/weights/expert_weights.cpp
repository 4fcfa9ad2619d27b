// Weights of the experts of a layer: the router's rows, norms, similarity between experts, singular spectra.
#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "core/analysis/common.h"
#include "core/analysis/weights/weight_tools.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::array<WeightRole, 3> expert_parts{WeightRole::expert_gate, WeightRole::expert_up,
                                                 WeightRole::expert_down};
constexpr std::array<const char*, 3> part_names{"gate", "up", "down"};

Matrix expert_matrix(const char* name, const std::string& title, const std::string& formula, std::uint32_t experts,
                     std::vector<double> values) {
  Matrix out;
  out.name = name;
  out.title = title;
  out.formula = formula;
  out.row_axis = out.column_axis = "expert";
  out.row_names = out.column_names = expert_names(experts);
  out.values = std::move(values);
  return out;
}

// Runs `body` for every expert on the pool; the first Error ends it.
Expected<void> for_each_expert(const CheckpointInput& input, std::uint32_t experts, const char* stage,
                               const std::function<Expected<void>(std::uint32_t)>& body) {
  std::mutex mutex;
  std::optional<Error> error;
  auto done = parallel_for(experts, input.work, {stage, 0.0, 1.0}, [&](std::size_t e, std::size_t) {
    {
      const std::lock_guard lock(mutex);
      if (error) return;
    }
    auto ok = body(static_cast<std::uint32_t>(e));
    if (ok) return;
    const std::lock_guard lock(mutex);
    if (!error) error = std::move(ok.error());
  });
  if (error) return fail(std::move(*error));
  return done;
}

Expected<Result> run_router(const CheckpointInput& input) {
  const auto layer = layer_parameter(input);
  if (!layer) return fail(layer.error());
  const auto rows = read_matrix(input.checkpoint, WeightRole::router, *layer, 0);
  if (!rows) return fail(rows.error());
  const auto experts = static_cast<std::uint32_t>(rows->rows());
  Result result;
  result.title = fmt::format("Router rows of layer {}", *layer);
  result.matrices.push_back(
      expert_matrix("cosine", "Cosine of router rows", "⟨w_i, w_j⟩ / (‖w_i‖ ‖w_j‖)", experts, cosines(*rows)));
  Series norms{
      .name = "norm", .title = "Norm of router rows", .x_axis = "expert", .y_axis = "L2 norm", .formula = "‖w_e‖"};
  norms.x_names = expert_names(experts);
  for (std::uint32_t e = 0; e < experts; ++e) {
    norms.x.push_back(e);
    norms.y.push_back(static_cast<double>(rows->row(e).norm()));
  }
  result.series.push_back(std::move(norms));
  return result;
}

Expected<Result> run_norms(const CheckpointInput& input) {
  const ModelSpec& spec = input.checkpoint.spec();
  Result result;
  std::vector<std::uint32_t> layers;
  std::uint32_t most = 0;
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    if (spec.layers[l].kind != LayerKind::moe) continue;
    layers.push_back(l);
    most = std::max(most, spec.layers[l].experts);
  }
  const WeightRole role = part_parameter(input);
  Matrix norms;
  norms.name = "norm";
  norms.title = fmt::format("Root mean square of each expert's {} matrix", input.params.at("part").get<std::string>());
  norms.formula = "‖W‖_F / √(rows · columns)";
  norms.row_axis = "layer";
  norms.column_axis = "expert";
  norms.column_names = expert_names(most);
  for (const std::uint32_t l : layers) norms.row_names.push_back(fmt::format("L{}", l));
  norms.values.assign(layers.size() * most, no_value);
  norms.absence.assign(norms.values.size(), Absence::not_recorded);
  std::mutex mutex;
  std::optional<Error> error;
  auto done = parallel_for(norms.values.size(), input.work, {"Norms", 0.0, 1.0}, [&](std::size_t cell, std::size_t) {
    const std::uint32_t layer = layers[cell / most];
    const auto expert = static_cast<std::uint32_t>(cell % most);
    if (expert >= spec.layers[layer].experts) return;
    const auto matrix = read_matrix(input.checkpoint, role, layer, expert);
    if (matrix) {
      norms.values[cell] = static_cast<double>(matrix->norm()) / std::sqrt(static_cast<double>(matrix->size()));
      norms.absence[cell] = Absence::present;
      return;
    }
    const std::lock_guard lock(mutex);
    if (!error) error = matrix.error();
  });
  if (error) return fail(std::move(*error));
  if (!done) return fail(std::move(done.error()));
  result.matrices.push_back(std::move(norms));
  return result;
}

// Gram matrix of the experts' weights laid out as one long vector each, in blocks of rows so that little is held.
Expected<Eigen::MatrixXd> gram_of_experts(const CheckpointInput& input, std::uint32_t layer, std::uint32_t experts) {
  constexpr std::uint64_t block_numbers = 1U << 16U;
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(experts, experts);
  double part_done = 0;
  for (const WeightRole role : expert_parts) {
    std::vector<WeightSlice> slices;
    for (std::uint32_t e = 0; e < experts; ++e) {
      auto slice = input.checkpoint.weight(role, layer, e);
      if (!slice) return fail(std::move(slice.error()));
      slices.push_back(std::move(*slice));
    }
    const std::uint64_t rows = slices.front().rows, columns = slices.front().columns;
    const std::uint64_t step = std::clamp<std::uint64_t>(block_numbers / columns, 1, rows);
    for (std::uint64_t first = 0; first < rows; first += step) {
      if (input.work.cancelled()) return fail(ErrorKind::cancelled, "stopped", "expert similarity");
      input.work.report("Reading experts", (part_done + static_cast<double>(first) / static_cast<double>(rows)) / 3.0);
      const std::uint64_t count = std::min(step, rows - first) * columns;
      FloatMatrix block(experts, static_cast<Eigen::Index>(count));
      for (std::uint32_t e = 0; e < experts; ++e) {
        if (auto ok = read_rows(slices[e], first, {block.data() + e * count, count}); !ok) return fail(ok.error());
      }
      if (!block.allFinite()) {
        return fail(ErrorKind::input, "a weight holds a number that is not finite", slices.front().tensor.name,
                    "The file is damaged or the training diverged");
      }
      gram += (block * block.transpose()).cast<double>();
    }
    part_done += 1;
  }
  return gram;
}

Expected<std::vector<double>> cka_of_experts(const CheckpointInput& input, std::uint32_t layer, std::uint32_t experts,
                                             WeightRole role) {
  std::vector<FloatMatrix> weights(experts);
  auto read = for_each_expert(input, experts, "Reading experts", [&](std::uint32_t e) -> Expected<void> {
    auto matrix = read_matrix(input.checkpoint, role, layer, e);
    if (!matrix) return fail(std::move(matrix.error()));
    // Features are inner neurons, which no two experts order alike; samples are the hidden numbers.
    weights[e] = role == WeightRole::expert_down ? FloatMatrix(matrix->transpose()) : std::move(*matrix);
    return {};
  });
  if (!read) return fail(std::move(read.error()));
  std::vector<double> values(std::size_t{experts} * experts, 1.0);
  auto done = for_each_expert(input, experts, "Comparing experts", [&](std::uint32_t i) -> Expected<void> {
    for (std::uint32_t j = i + 1; j < experts && !input.work.cancelled(); ++j) {
      values[i * experts + j] = values[j * experts + i] = linear_cka(weights[i], weights[j]);
    }
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return values;
}

Expected<Result> run_similarity(const CheckpointInput& input) {
  const auto layer = layer_parameter(input);
  if (!layer) return fail(layer.error());
  const std::uint32_t experts = input.checkpoint.spec().layers[*layer].experts;
  const bool cka = input.params.at("measure").get<std::string>() == "cka";
  Result result;
  result.title = fmt::format("Similarity of experts of layer {}", *layer);
  if (cka) {
    auto values = cka_of_experts(input, *layer, experts, part_parameter(input));
    if (!values) return fail(std::move(values.error()));
    result.matrices.push_back(expert_matrix("cka", "Linear CKA of experts",
                                            "‖Y·Xᵀ‖² / (‖X·Xᵀ‖ ‖Y·Yᵀ‖), inner neurons as features", experts,
                                            std::move(*values)));
    return result;
  }
  const auto gram = gram_of_experts(input, *layer, experts);
  if (!gram) return fail(gram.error());
  result.matrices.push_back(expert_matrix("cosine", "Cosine of experts' weights",
                                          "gate, up and down as one vector: ⟨w_i, w_j⟩ / (‖w_i‖ ‖w_j‖)", experts,
                                          cosines_of_gram(*gram)));
  return result;
}

Expected<Result> run_spectra(const CheckpointInput& input) {
  const auto layer = layer_parameter(input);
  if (!layer) return fail(layer.error());
  const std::uint32_t experts = input.checkpoint.spec().layers[*layer].experts;
  const auto shown = input.params.at("values").get<std::size_t>();
  const WeightRole role = part_parameter(input);
  std::vector<Eigen::VectorXd> spectra(experts);
  auto done = for_each_expert(input, experts, "Singular values", [&](std::uint32_t e) -> Expected<void> {
    const auto matrix = read_matrix(input.checkpoint, role, *layer, e);
    if (!matrix) return fail(matrix.error());
    spectra[e] = singular_values(*matrix);
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  Result result;
  result.title = fmt::format("Singular spectra of layer {}, {}", *layer, input.params.at("part").get<std::string>());
  Matrix values =
      expert_matrix("singular_values", "Singular values", "σ_1 ≥ σ_2 ≥ … of each expert's matrix", experts, {});
  const std::size_t columns = std::min<std::size_t>(shown, static_cast<std::size_t>(spectra.front().size()));
  values.column_axis = "rank";
  values.column_names.clear();
  for (std::size_t c = 0; c < columns; ++c) values.column_names.push_back(std::to_string(c + 1));
  Series stable{.name = "stable_rank",
                .title = "Stable rank",
                .x_axis = "expert",
                .y_axis = "stable rank",
                .formula = "‖W‖_F² / σ_1²"};
  stable.x_names = expert_names(experts);
  for (std::uint32_t e = 0; e < experts; ++e) {
    for (std::size_t c = 0; c < columns; ++c) values.values.push_back(spectra[e][static_cast<Eigen::Index>(c)]);
    const double top = spectra[e][0];
    stable.x.push_back(e);
    stable.y.push_back(top > 0 ? spectra[e].squaredNorm() / (top * top) : no_value);
  }
  result.matrices.push_back(std::move(values));
  result.series.push_back(std::move(stable));
  return result;
}

}  // namespace

CheckpointAnalysisSpec router_weights_analysis() {
  return {{"router_weights",
           "Router rows",
           "Norms and cosines of a layer's router rows",
           1,
           {layer_parameter_spec()},
           {},
           {}},
          run_router};
}

CheckpointAnalysisSpec expert_norms_analysis() {
  return {
      {"expert_norms", "Expert norms", "Norm of every expert's weights, by layer", 1, {part_parameter_spec()}, {}, {}},
      run_norms};
}

CheckpointAnalysisSpec expert_similarity_analysis() {
  return {{"expert_similarity",
           "Expert similarity",
           "How alike the experts of a layer are",
           1,
           {layer_parameter_spec(),
            {"measure", "choice", "Cosine of all weights, or CKA of one matrix", "cosine", {"cosine", "cka"}},
            part_parameter_spec()},
           {},
           {}},
          run_similarity};
}

CheckpointAnalysisSpec expert_spectra_analysis() {
  return {{"expert_spectra",
           "Singular spectra",
           "Singular values and stable rank of every expert of a layer",
           1,
           {layer_parameter_spec(),
            part_parameter_spec(),
            {"values", "int", "Singular values to list", 64, {}, 1.0, 65535.0}},
           {},
           {}},
          run_spectra};
}

}  // namespace moescope
