// Tensors of a trace file as columns of a Segment: types are narrowed or kept, unaligned bytes are copied, everything
// else stays in the mapped file. Used by the trace file's reader only; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_view.h"
#include "core/trace/trace.h"

namespace moescope {

// The error (input) of a tensor: what is wrong, with the file and the tensor's name.
[[nodiscard]] Unexpected tensor_problem(const TensorView& tensor, std::string what, std::string advice = {});

// A tensor of exactly the type of T, in place where its bytes are aligned, else copied.
template <typename T>
[[nodiscard]] Column<T> column_of(const TensorView& tensor);

// A tensor of numbers. F32, F16, BF16, U8, BOOL, U16 and I32 stay in place; other number types are widened to F32.
// Nothing for types that are not numbers of whole bytes.
[[nodiscard]] std::optional<FloatColumn> float_column_of(const TensorView& tensor);

// A tensor of whole numbers as I32. Error for other types and for values that do not fit. With `all_ones_absent`, all
// ones of an unsigned type becomes -1.
[[nodiscard]] Expected<Column<std::int32_t>> int_column_of(const TensorView& tensor, bool all_ones_absent);

// Ids in a signed type, where -1 is an unfilled slot, narrowed into the segment's ids8 or ids16. `experts` holds E of
// each row of the [row, token, slot] tensor. Error naming the place of an id that is neither -1 nor below E.
[[nodiscard]] Expected<void> narrow_ids(const TensorView& tensor, const std::vector<RouterRow>& rows, Segment& segment);

}  // namespace moescope
