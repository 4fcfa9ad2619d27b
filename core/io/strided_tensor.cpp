#include "core/io/strided_tensor.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <utility>

#include "core/io/tensor_decode.h"

namespace moescope {
namespace {

Unexpected problem(const StridedTensor& tensor, std::string what, std::string advice) {
  return fail(ErrorKind::input, std::move(what), fmt::format("{}, tensor '{}'", tensor.view.file, tensor.view.name),
              std::move(advice));
}

// Copies elements of `size` bytes in row-major order. The innermost dimension runs in a plain loop, the others count up
// like the digits of a clock.
void gather(const StridedTensor& tensor, std::size_t size, std::byte* out) {
  const auto& shape = tensor.view.shape;
  const std::size_t dims = shape.size();
  const std::uint64_t inner = dims == 0 ? 1 : shape.back();
  const std::uint64_t step = dims == 0 ? 0 : tensor.strides.back() * size;
  std::vector<std::uint64_t> index(dims, 0);
  std::uint64_t offset = 0;
  while (true) {
    const std::byte* from = tensor.view.bytes.data() + offset;
    for (std::uint64_t i = 0; i < inner; ++i, from += step, out += size) std::memcpy(out, from, size);
    std::size_t d = dims < 2 ? 0 : dims - 1;
    for (; d > 0; --d) {
      offset += tensor.strides[d - 1] * size;
      if (++index[d - 1] < shape[d - 1]) break;
      offset -= shape[d - 1] * tensor.strides[d - 1] * size;
      index[d - 1] = 0;
    }
    if (d == 0) return;
  }
}

template <typename Value>
std::optional<std::vector<std::int64_t>> integers_of(const std::vector<std::byte>& bytes) {
  std::vector<std::int64_t> out(bytes.size() / sizeof(Value));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Value value{};
    std::memcpy(&value, bytes.data() + i * sizeof(Value), sizeof(Value));
    if (!std::in_range<std::int64_t>(value)) return std::nullopt;
    out[i] = static_cast<std::int64_t>(value);
  }
  return out;
}

std::optional<std::vector<std::int64_t>> integers_of(DType type, const std::vector<std::byte>& bytes, bool& known) {
  switch (type) {
    case DType::boolean:
    case DType::u8:
      return integers_of<std::uint8_t>(bytes);
    case DType::i8:
      return integers_of<std::int8_t>(bytes);
    case DType::i16:
      return integers_of<std::int16_t>(bytes);
    case DType::u16:
      return integers_of<std::uint16_t>(bytes);
    case DType::i32:
      return integers_of<std::int32_t>(bytes);
    case DType::u32:
      return integers_of<std::uint32_t>(bytes);
    case DType::i64:
      return integers_of<std::int64_t>(bytes);
    case DType::u64:
      return integers_of<std::uint64_t>(bytes);
    default:
      known = false;
      return std::nullopt;
  }
}

}  // namespace

bool StridedTensor::contiguous() const {
  std::uint64_t expected = 1;
  for (std::size_t d = view.shape.size(); d-- > 0;) {
    if (view.shape[d] == 0) return true;
    if (view.shape[d] != 1 && strides[d] != expected) return false;
    expected *= view.shape[d];
  }
  return true;
}

Expected<std::vector<std::byte>> contiguous_bytes(const StridedTensor& tensor, std::uint64_t limit) {
  const auto size = byte_size(tensor.view.type, tensor.view.shape);
  if (!size || *size > limit) {
    return problem(tensor, fmt::format("the tensor would have {} bytes, more than {}", size.value_or(0), limit),
                   "Save a tensor that is not expanded");
  }
  if (tensor.contiguous()) return std::vector<std::byte>(tensor.view.bytes.begin(), tensor.view.bytes.end());
  std::vector<std::byte> out(static_cast<std::size_t>(*size));
  gather(tensor, dtype_block(tensor.view.type).bytes, out.data());
  return out;
}

Expected<std::vector<float>> contiguous_floats(const StridedTensor& tensor, std::uint64_t limit) {
  const TensorView& view = tensor.view;
  if (!can_decode(view.type)) {
    return problem(tensor,
                   fmt::format("the tensor holds {}, where floating-point numbers are needed", dtype_name(view.type)),
                   "Save it as a floating-point tensor");
  }
  const auto bytes = contiguous_bytes(tensor, limit);
  if (!bytes) return fail(bytes.error());
  std::vector<float> out(static_cast<std::size_t>(view.elements()));
  if (auto done = decode_floats(view.type, *bytes, 0, out); !done) return fail(done.error());
  return out;
}

Expected<std::vector<std::int64_t>> contiguous_integers(const StridedTensor& tensor, std::uint64_t limit) {
  const auto bytes = contiguous_bytes(tensor, limit);
  if (!bytes) return fail(bytes.error());
  bool known = true;
  auto out = integers_of(tensor.view.type, *bytes, known);
  if (out) return std::move(*out);
  return problem(tensor,
                 known
                     ? std::string("the tensor has numbers beyond 64-bit integers with a sign")
                     : fmt::format("the tensor holds {}, where whole numbers are needed", dtype_name(tensor.view.type)),
                 "Save it as an integer tensor");
}

}  // namespace moescope
