#include "core/trace/import/formats/torch_tools.h"

#include <fmt/format.h>

#include <limits>

#include "core/trace/import/formats/format_tools.h"

namespace moescope {

RawPlane strided_plane(const StridedTensor& tensor, std::uint64_t index) {
  const std::size_t size = static_cast<std::size_t>(dtype_bits(tensor.view.type)) / 8;
  const auto& shape = tensor.view.shape;
  const std::size_t first = shape.size() - 2;
  const std::uint64_t front = first == 0 ? 0 : index * tensor.strides[0];
  return RawPlane{
      tensor.view.type, tensor.view.bytes, front * size, tensor.strides[first] * size, tensor.strides[first + 1] * size,
      shape[first + 1], tensor.view.owner};
}

bool repeats(const StridedTensor& tensor) {
  const auto size = byte_size(tensor.view.type, tensor.view.shape);
  return !size || *size > tensor.view.bytes.size();
}

const StridedTensor* tensor_at(const PickleValue& dict, std::string_view key) {
  const PickleValue* const value = dict.find(key);
  return value == nullptr ? nullptr : value->tensor();
}

std::vector<std::int32_t> small_integers(const PickleValue* value) {
  std::vector<std::int32_t> out;
  const auto push = [&](std::int64_t number) {
    constexpr std::int64_t high = std::numeric_limits<std::int32_t>::max();
    out.push_back(number >= -1 && number <= high ? static_cast<std::int32_t>(number) : -1);
  };
  if (value == nullptr) return out;
  if (const StridedTensor* const tensor = value->tensor()) {
    if (repeats(*tensor)) return {};
    if (const auto numbers = contiguous_integers(*tensor)) {
      for (const std::int64_t number : *numbers) push(number);
    }
    return out;
  }
  const PickleList* const list = value->list();
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::int64_t* const number = (*list)[i].integer();
    if (number == nullptr) return {};
    push(*number);
  }
  return out;
}

std::vector<TensorView> plain_tensors(const PickleValue& root) {
  std::vector<TensorView> out;
  const auto take = [&](const PickleValue& value, std::string name) {
    const StridedTensor* const tensor = value.tensor();
    if (tensor == nullptr || repeats(*tensor)) return false;
    TensorView view = tensor->view;
    view.name = std::move(name);
    if (!tensor->contiguous()) {
      auto bytes = contiguous_bytes(*tensor);
      if (!bytes) return false;
      const TensorView copy = own_tensor(std::move(*bytes), view.type, view.shape);
      view.bytes = copy.bytes;
      view.owner = copy.owner;
    }
    out.push_back(std::move(view));
    return true;
  };
  if (root.tensor() != nullptr) return take(root, "tensor") ? out : std::vector<TensorView>{};
  if (const PickleList* const list = root.list()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (!take((*list)[i], fmt::format("{}", i))) return {};
    }
    return out;
  }
  const PickleDict* const dict = root.dict();
  for (std::size_t i = 0; dict != nullptr && i < dict->size(); ++i) {
    const auto& [key, value] = (*dict)[i];
    const std::string* const text = key.text();
    const std::int64_t* const number = key.integer();
    if (text == nullptr && number == nullptr) return {};
    if (!take(value, text != nullptr ? *text : fmt::format("{}", *number))) return {};
  }
  return out;
}

}  // namespace moescope
