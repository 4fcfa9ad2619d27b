#include "plugins/torch_engine/train/adamw.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace moescope::train {

AdamW::AdamW(std::vector<Parameter> parameters, AdamWSettings settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  for (const auto& p : parameters_) {
    const auto n = static_cast<std::size_t>(p.tensor.numel());
    first_.emplace_back(n, 0.0F);
    second_.emplace_back(n, 0.0F);
  }
}

double AdamW::step(double learning_rate) {
  ++steps_;
  std::vector<at::Tensor> gradients;
  double squares = 0.0;
  for (const auto& p : parameters_) {
    gradients.push_back(p.tensor.grad().defined() ? p.tensor.grad().contiguous() : at::zeros_like(p.tensor));
    squares += gradients.back().pow(2).sum(at::kDouble).item<double>();
  }
  const double norm = std::sqrt(squares);
  const auto scale = static_cast<float>(norm > settings_.clip ? settings_.clip / norm : 1.0);
  const auto beta1 = static_cast<float>(settings_.beta1), beta2 = static_cast<float>(settings_.beta2);
  const auto rate = static_cast<float>(learning_rate / (1.0 - std::pow(settings_.beta1, steps_)));
  const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(settings_.beta2, steps_)));
  const auto epsilon = static_cast<float>(settings_.epsilon);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto keep = static_cast<float>(1.0 - (parameters_[i].decays ? learning_rate * settings_.weight_decay : 0.0));
    const float* gradient = gradients[i].data_ptr<float>();
    float* value = parameters_[i].tensor.data_ptr<float>();
    float* first = first_[i].data();
    float* second = second_[i].data();
    for (std::size_t j = 0; j < first_[i].size(); ++j) {
      const float g = gradient[j] * scale;
      first[j] = beta1 * first[j] + (1.0F - beta1) * g;
      second[j] = beta2 * second[j] + (1.0F - beta2) * g * g;
      value[j] = keep * value[j] - rate * first[j] / (std::sqrt(second[j]) * correction + epsilon);
    }
    parameters_[i].tensor.mutable_grad().reset();
  }
  return norm;
}

}  // namespace moescope::train
