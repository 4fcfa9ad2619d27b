#include "core/model/weight_slice.h"

#include <fmt/format.h>

#include <vector>

#include "core/io/tensor_decode.h"

namespace moescope {
namespace {

constexpr std::uint64_t mxfp4_group = 32;

Unexpected cut_block(const WeightSlice& slice) {
  return fail(ErrorKind::input,
              fmt::format("this layout cannot be read from {}: a row would begin inside a block",
                          dtype_name(slice.tensor.type)),
              slice.tensor.file + ", tensor " + slice.tensor.name, "Use a checkpoint in F32, F16 or BF16");
}

// Numbers of the tensor from `first` on, one after another.
Expected<void> decode_run(const WeightSlice& slice, std::uint64_t first, std::span<float> out) {
  if (slice.coding != WeightSlice::Coding::mxfp4) return decode_tensor(slice.tensor, first, out);
  if (first % mxfp4_group != 0 || out.size() % mxfp4_group != 0) return cut_block(slice);
  return decode_mxfp4_groups(slice.tensor.bytes, slice.scales.bytes, first / mxfp4_group, out);
}

}  // namespace

Expected<void> read_rows(const WeightSlice& slice, std::uint64_t first_row, std::span<float> out) {
  const std::uint64_t rows = out.size() / slice.columns;
  const bool tiled = slice.coding == WeightSlice::Coding::scaled_tiles;
  if (slice.column_stride == 1) {
    if (slice.row_stride == slice.columns) {
      if (auto ok = decode_run(slice, slice.first + first_row * slice.columns, out); !ok) return ok;
    } else {
      for (std::uint64_t r = 0; r < rows; ++r) {
        const std::uint64_t first = slice.first + (first_row + r) * slice.row_stride;
        if (auto ok = decode_run(slice, first, out.subspan(r * slice.columns, slice.columns)); !ok) return ok;
      }
    }
    if (!tiled) return {};
    std::vector<float> scales(slice.scale_count);
    if (auto ok = decode_tensor(slice.scales, slice.first_scale, scales); !ok) return ok;
    return apply_block_scales({scales, slice.columns, slice.block_rows, slice.block_columns}, first_row, out);
  }
  if (tiled) return cut_block(slice);
  // Stored with the inputs as rows: read each of them over the span of wanted outputs, and turn it.
  std::vector<float> line(rows == 0 ? 0 : (rows - 1) * slice.row_stride + 1);
  for (std::uint64_t c = 0; c < slice.columns; ++c) {
    const std::uint64_t first = slice.first + first_row * slice.row_stride + c * slice.column_stride;
    if (auto ok = decode_run(slice, first, line); !ok) return ok;
    for (std::uint64_t r = 0; r < rows; ++r) out[r * slice.columns + c] = line[r * slice.row_stride];
  }
  return {};
}

}  // namespace moescope
