#include "core/trace/import/raw_trace.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace moescope {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value{};
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// Calls `use(i, value)` for every item of a token, in the type that is stored.
template <typename T, typename Use>
void each_item(const RawPlane& plane, std::size_t token, std::size_t count, Use use) {
  const std::byte* at = plane.bytes.data() + plane.offset + token * plane.token_stride;
  for (std::size_t i = 0; i < count; ++i, at += plane.item_stride) use(i, load<T>(at));
}

// Half-width floats go through a FloatColumn, which knows them.
template <typename Use>
void each_half(const RawPlane& plane, std::size_t token, std::size_t count, Use use) {
  FloatColumn column;
  column.type = plane.type == DType::f16 ? FloatColumn::Type::f16 : FloatColumn::Type::bf16;
  column.bytes = plane.bytes;
  each_item<std::uint16_t>(plane, token, count, [&](std::size_t i, std::uint16_t) {
    const std::size_t byte = plane.offset + token * plane.token_stride + i * plane.item_stride;
    column.bytes = plane.bytes.subspan(byte, 2);
    use(i, column.at(0));
  });
}

template <typename Use>
void visit(const RawPlane& plane, std::size_t token, std::size_t count, Use use) {
  switch (plane.type) {
    case DType::boolean:
    case DType::u8:
      return each_item<std::uint8_t>(plane, token, count, use);
    case DType::i8:
      return each_item<std::int8_t>(plane, token, count, use);
    case DType::i16:
      return each_item<std::int16_t>(plane, token, count, use);
    case DType::u16:
      return each_item<std::uint16_t>(plane, token, count, use);
    case DType::i32:
      return each_item<std::int32_t>(plane, token, count, use);
    case DType::u32:
      return each_item<std::uint32_t>(plane, token, count, use);
    case DType::i64:
      return each_item<std::int64_t>(plane, token, count, use);
    case DType::u64:
      return each_item<std::uint64_t>(plane, token, count, use);
    case DType::f32:
      return each_item<float>(plane, token, count, use);
    case DType::f64:
      return each_item<double>(plane, token, count, use);
    case DType::f16:
    case DType::bf16:
      return each_half(plane, token, count, use);
    default:
      for (std::size_t i = 0; i < count; ++i) use(i, -1);
  }
}

constexpr double exact_limit = 9007199254740992.0;  // 2^53

}  // namespace

void RawPlane::integers(std::size_t token, std::span<std::int64_t> out) const {
  visit(*this, token, out.size(), [&](std::size_t i, auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      const bool whole = std::abs(static_cast<double>(value)) < exact_limit && std::trunc(value) == value;
      out[i] = whole ? static_cast<std::int64_t>(value) : -1;
    } else if constexpr (std::is_same_v<decltype(value), std::uint64_t>) {
      out[i] = value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                   ? -1
                   : static_cast<std::int64_t>(value);
    } else {
      out[i] = static_cast<std::int64_t>(value);
    }
  });
}

void RawPlane::numbers(std::size_t token, std::span<float> out) const {
  visit(*this, token, out.size(), [&](std::size_t i, auto value) { out[i] = static_cast<float>(value); });
}

std::size_t RawPlane::whole_tokens() const {
  const std::size_t size = static_cast<std::size_t>(dtype_bits(type)) / 8;
  const std::size_t first = offset + (width == 0 ? 0 : (width - 1) * item_stride + size);  // the end of token 0
  if (bytes.size() < first) return 0;
  return token_stride == 0 ? std::numeric_limits<std::size_t>::max() : (bytes.size() - first) / token_stride + 1;
}

RawGrid grid_of(const TensorView& tensor, RawAxes axes) {
  const std::size_t size = static_cast<std::size_t>(dtype_bits(tensor.type)) / 8;
  std::vector<std::uint64_t> shape = tensor.shape;
  while (shape.size() < 3) shape.push_back(1);
  const std::array<std::size_t, 3> stride{shape[1] * shape[2] * size, shape[2] * size, size};
  const std::size_t layer_axis = axes == RawAxes::layer_token_item ? 0 : axes == RawAxes::token_layer_item ? 1 : 2;
  const std::size_t token_axis = axes == RawAxes::layer_token_item ? 1 : 0;
  const std::size_t item_axis = 3 - layer_axis - token_axis;
  RawGrid grid;
  grid.layers.resize(shape[layer_axis]);
  for (std::size_t l = 0; l < grid.layers.size(); ++l) {
    grid.layers[l] =
        RawPlane{tensor.type,      tensor.bytes, l * stride[layer_axis], stride[token_axis], stride[item_axis],
                 shape[item_axis], tensor.owner};
  }
  return grid;
}

RawPlane plane_of(const TensorView& tensor) {
  const std::size_t size = static_cast<std::size_t>(dtype_bits(tensor.type)) / 8;
  const std::size_t width = tensor.shape.empty() ? 0 : tensor.shape.back();
  return RawPlane{tensor.type, tensor.bytes, 0, width * size, size, width, tensor.owner};
}

template <typename T>
RawTable<T>::RawTable(std::size_t source_bytes) {
  constexpr std::size_t always = std::size_t{1} << 24U, at_most = std::size_t{1} << 31U, per_byte = 64;
  limit_ = std::min(at_most, always + std::min(at_most, source_bytes) * per_byte);
}

template <typename T>
bool RawTable<T>::set(std::size_t layer, std::size_t token, std::size_t slot, T value) {
  const T absent = std::is_floating_point_v<T> ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(-1);
  constexpr std::size_t layer_limit = 100'000;
  if (layer >= layer_limit || slot > used_code::max_filled || token >= limit_) return false;
  const std::size_t had = layer < planes_.size() ? planes_[layer].slots : 0;
  const std::size_t wide = std::max(had, slot + 1);
  const std::size_t tokens = std::max(tokens_, token + 1);
  if (tokens > limit_ / (slots_ - had + wide)) return false;
  if (layer >= planes_.size()) planes_.resize(layer + 1);
  Plane& plane = planes_[layer];
  if (wide > had) {  // every token moves
    const std::size_t rows = had == 0 ? 0 : plane.values.size() / had;
    std::vector<T> values(rows * wide, absent);
    for (std::size_t t = 0; t < rows; ++t) {
      for (std::size_t s = 0; s < had; ++s) values[t * wide + s] = plane.values[t * had + s];
    }
    plane.values = std::move(values);
    plane.slots = wide;
    slots_ += wide - had;
  }
  const std::size_t needed = (token + 1) * wide;
  if (needed > plane.values.size()) {
    if (needed > plane.values.capacity()) plane.values.reserve(std::max(needed, plane.values.capacity() * 2));
    plane.values.resize(needed, absent);
  }
  plane.values[token * wide + slot] = value;
  tokens_ = tokens;
  return true;
}

template <typename T>
RawGrid RawTable<T>::take(std::size_t tokens) {
  const T absent = std::is_floating_point_v<T> ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(-1);
  RawGrid grid;
  for (Plane& plane : planes_) {
    if (plane.slots == 0) {
      grid.layers.emplace_back();
      continue;
    }
    plane.values.resize(tokens * plane.slots, absent);
    auto block = std::make_shared<const std::vector<T>>(std::move(plane.values));
    grid.layers.push_back(RawPlane{std::is_floating_point_v<T> ? DType::f32 : DType::i32,
                                   std::as_bytes(std::span<const T>(*block)), 0, plane.slots * sizeof(T), sizeof(T),
                                   plane.slots, block});
  }
  *this = RawTable<T>();
  return grid;
}

template class RawTable<std::int32_t>;
template class RawTable<float>;

}  // namespace moescope
