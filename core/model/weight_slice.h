// One weight of a checkpoint as a matrix, whatever tensor it is a part of: where its numbers lie and how they are
// coded. Made by Checkpoint::weight(); read by engines (in place where they can) and by analyses of weights. Any
// thread.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"

namespace moescope {

struct WeightSlice {
  enum class Coding : std::uint8_t {
    plain,         // numbers of the tensor's type, GGUF blocks included
    scaled_tiles,  // F8 numbers, one scale for each tile of block_rows x block_columns
    mxfp4          // two tensors: four-bit codes in blocks of 32 along a row, and their exponents
  };
  Coding coding = Coding::plain;
  TensorView tensor;                                // or the codes
  TensorView scales;                                // of scaled_tiles and mxfp4
  std::uint64_t rows = 0, columns = 1;              // [out, in]
  std::uint64_t first = 0;                          // number of element (0, 0) in the tensor
  std::uint64_t row_stride = 0, column_stride = 1;  // in elements
  std::uint64_t block_rows = 0, block_columns = 0;
  std::uint64_t first_scale = 0, scale_count = 0;  // of this matrix, among the scales

  [[nodiscard]] std::uint64_t elements() const { return rows * columns; }
  // Whether its elements follow each other without a gap, row by row.
  [[nodiscard]] bool dense() const { return column_stride == 1 && row_stride == columns; }
};

// Decodes rows [first_row, first_row + out.size() / columns) to float32, row-major. Error (input): a type that has no
// decoder, or blocks that the slice cuts.
[[nodiscard]] MOESCOPE_API Expected<void> read_rows(const WeightSlice& slice, std::uint64_t first_row,
                                                    std::span<float> out);

}  // namespace moescope
