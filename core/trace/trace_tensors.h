// Which axes the tensors of a trace file have, and checks of one tensor. Used by the trace file's reader only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_view.h"

namespace moescope {

[[nodiscard]] std::string shape_text(const std::vector<std::uint64_t>& shape);

// Whole steps along a tensor's first axis that a file, perhaps truncated, still has.
[[nodiscard]] std::uint64_t whole_steps(const TensorView& tensor);

// Errors (input) naming what was found and what was expected.
[[nodiscard]] Expected<void> expect_shape(const TensorView& tensor, const std::vector<std::uint64_t>& shape);
[[nodiscard]] Expected<void> expect_type(const TensorView& tensor, std::initializer_list<DType> types);

// Tensors of shape [row, token, ...], and those of shape [token, ...].
[[nodiscard]] bool has_row_axis(const std::string& name);
[[nodiscard]] bool has_token_axis(const std::string& name);

}  // namespace moescope
