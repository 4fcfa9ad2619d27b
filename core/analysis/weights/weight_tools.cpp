#include "core/analysis/weights/weight_tools.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"

namespace moescope {
namespace {

FloatMatrix centred(const FloatMatrix& x) {
  return x.colwise() - x.rowwise().mean();
}

}  // namespace

ParameterSpec layer_parameter_spec() {
  return {"layer", "int", "Layer with experts, counted from 0; -1 = the first one", -1, {}, -1.0, 65535.0};
}

Expected<std::uint32_t> layer_parameter(const CheckpointInput& input) {
  const ModelSpec& spec = input.checkpoint.spec();
  const auto asked = input.params.at("layer").get<std::int64_t>();
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    if (spec.layers[l].kind == LayerKind::moe && (asked == -1 || asked == l)) return l;
  }
  return fail(ErrorKind::usage,
              asked == -1 ? std::string("no layer of this model has experts")
                          : fmt::format("layer {} has no experts, or does not exist", asked),
              "layer", fmt::format("The model has layers 0 to {}", spec.layers.size() - 1));
}

ParameterSpec part_parameter_spec() {
  return {"part", "choice", "Which matrix of an expert", "gate", {"gate", "up", "down"}};
}

WeightRole part_parameter(const CheckpointInput& input) {
  const auto part = input.params.at("part").get<std::string>();
  return part == "gate" ? WeightRole::expert_gate : part == "up" ? WeightRole::expert_up : WeightRole::expert_down;
}

Expected<FloatMatrix> read_matrix(const Checkpoint& checkpoint, WeightRole role, std::uint32_t layer,
                                  std::uint32_t expert) {
  const auto slice = checkpoint.weight(role, layer, expert);
  if (!slice) return fail(slice.error());
  FloatMatrix out(static_cast<Eigen::Index>(slice->rows), static_cast<Eigen::Index>(slice->columns));
  if (auto ok = read_rows(*slice, 0, {out.data(), slice->elements()}); !ok) return fail(std::move(ok.error()));
  if (!out.allFinite()) {
    return fail(
        ErrorKind::input, "a weight holds a number that is not finite",
        fmt::format("{}, tensor {}, layer {}, expert {}", slice->tensor.file, slice->tensor.name, layer, expert),
        "The file is damaged or the training diverged: take it from its source again");
  }
  return out;
}

std::vector<double> cosines_of_gram(const Eigen::MatrixXd& gram) {
  const Eigen::Index n = gram.rows();
  std::vector<double> out(static_cast<std::size_t>(n * n), no_value);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      const double norm = std::sqrt(gram(i, i) * gram(j, j));
      if (norm > 0) out[static_cast<std::size_t>(i * n + j)] = std::clamp(gram(i, j) / norm, -1.0, 1.0);
    }
  }
  return out;
}

std::vector<double> cosines(const FloatMatrix& vectors) {
  const Eigen::MatrixXd wide = vectors.cast<double>();
  return cosines_of_gram(wide * wide.transpose());
}

Eigen::VectorXd singular_values(const FloatMatrix& matrix) {
  // Of the smaller Gram matrix, in double: squares of singular values keep half the digits, which is enough to draw.
  const Eigen::MatrixXd wide = matrix.cast<double>();
  const Eigen::MatrixXd gram = matrix.rows() <= matrix.cols() ? Eigen::MatrixXd(wide * wide.transpose())
                                                              : Eigen::MatrixXd(wide.transpose() * wide);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  return solver.eigenvalues().reverse().cwiseMax(0.0).cwiseSqrt();
}

double linear_cka(const FloatMatrix& x, const FloatMatrix& y) {
  const FloatMatrix a = centred(x), b = centred(y);
  const double cross = static_cast<double>((b * a.transpose()).squaredNorm());
  const double own = static_cast<double>((a * a.transpose()).norm()) * static_cast<double>((b * b.transpose()).norm());
  return own > 0 ? cross / own : no_value;
}

}  // namespace moescope
