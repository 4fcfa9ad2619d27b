// What a checkpoint is made of, from a Result of `model_card`: parameters by part, memory, and what each layer does.
// Weights view. Pure functions: any thread.
#pragma once

#include "core/figure/figure_builder.h"

namespace moescope {

// A bar per part of the model: all its parameters, and in accent those that one token uses.
[[nodiscard]] MOESCOPE_API Figure parameter_parts_figure(const ResultPtr& card, double width, double height);
// Bytes as they are stored, by type, and as they would be in a type to compute in.
[[nodiscard]] MOESCOPE_API Figure weight_memory_figure(const ResultPtr& card, double width, double height);
// A cell per layer, coloured by what it does, and a line on each kind of layer.
[[nodiscard]] MOESCOPE_API Figure layer_map_figure(const ResultPtr& card, double width, double height);

}  // namespace moescope
