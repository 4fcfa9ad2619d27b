#include "core/trace/trace_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/trace/trace_columns.h"

namespace moescope {

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::uint64_t whole_steps(const TensorView& tensor) {
  const std::uint64_t stated = tensor.shape.empty() ? 1 : tensor.shape[0];
  const std::uint64_t full = byte_size(tensor.type, tensor.shape).value_or(0);
  if (tensor.bytes.size() == full) return stated;
  // Packed types may have steps that are no whole bytes: such a tensor is whole or lost.
  return full % stated == 0 ? tensor.bytes.size() / (full / stated) : 0;
}

Expected<void> expect_shape(const TensorView& tensor, const std::vector<std::uint64_t>& shape) {
  if (tensor.shape == shape) return {};
  return tensor_problem(
      tensor, fmt::format("the shape is {} where {} was expected", shape_text(tensor.shape), shape_text(shape)));
}
Expected<void> expect_type(const TensorView& tensor, std::initializer_list<DType> types) {
  if (std::find(types.begin(), types.end(), tensor.type) != types.end()) return {};
  std::vector<std::string> names;
  for (const DType type : types) names.emplace_back(dtype_name(type));
  return tensor_problem(
      tensor, fmt::format("the type is {} where {} was expected", dtype_name(tensor.type), fmt::join(names, " or ")));
}

bool has_row_axis(const std::string& name) {
  return name == "expert_ids" || name == "used" || name == "gate_weights" || name == "router_logits" ||
         name == "selection_scores" || name.starts_with("slot.") || name.starts_with("row.");
}
bool has_token_axis(const std::string& name) {
  static const std::set<std::string> names{"token_ids", "sequence_ids", "positions", "phases",     "steps",
                                           "ranks",     "epochs",       "streams",   "text_spans", "output_logits"};
  return names.contains(name) || name.starts_with("tags.") || name.starts_with("token.");
}

}  // namespace moescope
