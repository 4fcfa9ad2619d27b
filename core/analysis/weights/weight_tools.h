// What the analyses of weights share. Not for use outside core/analysis/weights.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <string>

#include "core/analysis/weights/checkpoint_analysis.h"

namespace moescope {

using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

[[nodiscard]] CheckpointAnalysisSpec model_card_analysis();
[[nodiscard]] CheckpointAnalysisSpec tensors_analysis();
[[nodiscard]] CheckpointAnalysisSpec router_weights_analysis();
[[nodiscard]] CheckpointAnalysisSpec expert_norms_analysis();
[[nodiscard]] CheckpointAnalysisSpec expert_similarity_analysis();
[[nodiscard]] CheckpointAnalysisSpec expert_spectra_analysis();

// The parameter "layer" and its check: the absolute number of a layer with experts; −1 = the first.
[[nodiscard]] ParameterSpec layer_parameter_spec();
[[nodiscard]] Expected<std::uint32_t> layer_parameter(const CheckpointInput& input);
// The parameter "part": gate, up or down.
[[nodiscard]] ParameterSpec part_parameter_spec();
[[nodiscard]] WeightRole part_parameter(const CheckpointInput& input);

// A weight as a float32 matrix [rows, columns]. Error (input): it cannot be read, or holds a number that is not finite,
// with the tensor's name and place.
[[nodiscard]] Expected<FloatMatrix> read_matrix(const Checkpoint& checkpoint, WeightRole role, std::uint32_t layer,
                                                std::uint32_t expert);

// Cosines of the rows of `vectors`; a row of zeros has no cosine (NaN).
[[nodiscard]] std::vector<double> cosines(const FloatMatrix& vectors);
// The same from a Gram matrix [n, n].
[[nodiscard]] std::vector<double> cosines_of_gram(const Eigen::MatrixXd& gram);

// Singular values of a matrix, largest first.
[[nodiscard]] Eigen::VectorXd singular_values(const FloatMatrix& matrix);

// Linear CKA of two sets of features of the same samples, from weights [features, samples]:
// ‖Y·Xᵀ‖² / (‖X·Xᵀ‖ ‖Y·Yᵀ‖) in Frobenius norms, features centred over the samples (reference: methods, guidance).
[[nodiscard]] double linear_cka(const FloatMatrix& x, const FloatMatrix& y);

}  // namespace moescope
