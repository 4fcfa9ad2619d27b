#include "core/trace/trace_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace moescope {
namespace {

template <typename T>
T load(const TensorView& tensor, std::size_t i) {
  T value{};
  std::memcpy(&value, tensor.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// Calls `with` with a value of the C++ type of a whole-number tensor; false for other types.
template <typename F>
bool with_integer_type(DType type, F with) {
  switch (type) {
    case DType::boolean:
    case DType::u8:
      with(std::uint8_t{});
      return true;
    case DType::i8:
      with(std::int8_t{});
      return true;
    case DType::u16:
      with(std::uint16_t{});
      return true;
    case DType::i16:
      with(std::int16_t{});
      return true;
    case DType::u32:
      with(std::uint32_t{});
      return true;
    case DType::i32:
      with(std::int32_t{});
      return true;
    case DType::u64:
      with(std::uint64_t{});
      return true;
    case DType::i64:
      with(std::int64_t{});
      return true;
    default:
      return false;
  }
}

std::optional<FloatColumn::Type> type_in_place(DType type) {
  switch (type) {
    case DType::f32:
      return FloatColumn::Type::f32;
    case DType::f16:
      return FloatColumn::Type::f16;
    case DType::bf16:
      return FloatColumn::Type::bf16;
    case DType::boolean:
    case DType::u8:
      return FloatColumn::Type::u8;
    case DType::u16:
      return FloatColumn::Type::u16;
    case DType::i32:
      return FloatColumn::Type::i32;
    default:
      return std::nullopt;
  }
}

template <typename T>
std::vector<float> widen(const TensorView& tensor) {
  std::vector<float> out(tensor.bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(load<T>(tensor, i));
  return out;
}

}  // namespace

Unexpected tensor_problem(const TensorView& tensor, std::string what, std::string advice) {
  return fail(ErrorKind::input, std::move(what), fmt::format("{}, tensor '{}'", tensor.file, tensor.name),
              advice.empty() ? "Write the trace again; the help page on trace files says how" : std::move(advice));
}

template <typename T>
Column<T> column_of(const TensorView& tensor) {
  const std::size_t n = tensor.bytes.size() / sizeof(T);
  if (reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(T) == 0) {
    return Column<T>{std::span(reinterpret_cast<const T*>(tensor.bytes.data()), n), tensor.owner};
  }
  std::vector<T> copy(n);
  std::memcpy(copy.data(), tensor.bytes.data(), n * sizeof(T));
  return Column<T>::own(std::move(copy));
}

template Column<std::uint8_t> column_of(const TensorView&);
template Column<std::uint16_t> column_of(const TensorView&);
template Column<std::int32_t> column_of(const TensorView&);
template Column<std::int64_t> column_of(const TensorView&);
template Column<float> column_of(const TensorView&);

std::optional<FloatColumn> float_column_of(const TensorView& tensor) {
  if (const auto type = type_in_place(tensor.type)) return FloatColumn{*type, tensor.bytes, tensor.owner};
  if (tensor.type == DType::f64) return FloatColumn::own(widen<double>(tensor));
  std::vector<float> values;
  const bool known = with_integer_type(tensor.type, [&](auto zero) { values = widen<decltype(zero)>(tensor); });
  return known ? std::optional(FloatColumn::own(std::move(values))) : std::nullopt;
}

Expected<Column<std::int32_t>> int_column_of(const TensorView& tensor, bool all_ones_absent) {
  if (tensor.type == DType::i32) return column_of<std::int32_t>(tensor);
  std::vector<std::int32_t> out;
  std::optional<std::size_t> misfit;
  const bool known = with_integer_type(tensor.type, [&](auto zero) {
    using T = decltype(zero);
    out.resize(tensor.bytes.size() / sizeof(T));
    for (std::size_t i = 0; i < out.size(); ++i) {
      const T value = load<T>(tensor, i);
      if (std::is_unsigned_v<T> && all_ones_absent && value == std::numeric_limits<T>::max()) {
        out[i] = -1;
      } else if (std::in_range<std::int32_t>(value)) {
        out[i] = static_cast<std::int32_t>(value);
      } else if (!misfit) {
        misfit = i;
      }
    }
  });
  if (!known) {
    return tensor_problem(tensor, fmt::format("the type {} is not one of whole numbers", dtype_name(tensor.type)));
  }
  if (misfit) return tensor_problem(tensor, fmt::format("value {} does not fit 32 bits", *misfit));
  return Column<std::int32_t>::own(std::move(out));
}

Expected<void> narrow_ids(const TensorView& tensor, const std::vector<RouterRow>& rows, Segment& segment) {
  const std::size_t per_row = segment.tokens * segment.slots;
  std::uint32_t emax = 0;
  for (const RouterRow& row : rows) emax = std::max(emax, row.experts);
  // Two bytes from 256 experts on, so that all ones is never an expert.
  std::vector<std::uint8_t> narrow(emax <= 255 ? segment.rows * per_row : 0);
  std::vector<std::uint16_t> wide(emax <= 255 ? 0 : segment.rows * per_row);
  std::optional<std::size_t> bad;
  const bool known = with_integer_type(tensor.type, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t r = 0; r < segment.rows && !bad; ++r) {
      for (std::size_t i = r * per_row; i < (r + 1) * per_row; ++i) {
        const T value = load<T>(tensor, i);
        if (!std::cmp_equal(value, -1) &&
            !(std::cmp_greater_equal(value, 0) && std::cmp_less(value, rows[r].experts))) {
          bad = i;
          break;
        }
        if (narrow.empty()) {
          wide[i] = static_cast<std::uint16_t>(value);
        } else {
          narrow[i] = static_cast<std::uint8_t>(value);
        }
      }
    }
  });
  if (!known) return tensor_problem(tensor, fmt::format("the type {} is not one of ids", dtype_name(tensor.type)));
  if (bad) {
    return tensor_problem(tensor, fmt::format("row {}, token {}, slot {} is neither -1 nor an expert of its row",
                                              *bad / per_row, *bad % per_row / segment.slots, *bad % segment.slots));
  }
  if (!narrow.empty()) segment.ids8 = Column<std::uint8_t>::own(std::move(narrow));
  if (!wide.empty()) segment.ids16 = Column<std::uint16_t>::own(std::move(wide));
  return {};
}

}  // namespace moescope
