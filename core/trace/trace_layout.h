// The columns of a Segment as the tensors of a trace file: names, types, axes, bytes. Used by the trace writer only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/io/tensor_view.h"
#include "core/trace/trace.h"

namespace moescope {

// One column of a segment. All ones in every byte means absent in every type the format uses: NaN, -1, 255.
struct LayoutColumn {
  std::string name;
  DType type = DType::u8;
  bool by_row = false;               // [row, token, tail…]; otherwise [token, tail…]
  std::vector<std::uint64_t> tail;   // dimensions after the token
  std::span<const std::byte> bytes;  // of the segment
  std::shared_ptr<const void> owner;

  // Bytes of one token (of one row).
  [[nodiscard]] std::size_t item_bytes() const;
};

// How ids are written: in one byte up to 256 experts.
struct IdLayout {
  DType type = DType::u8;
  bool with_used = true;
};

// Every column that the segment has, in the order of the file: facts of tokens first, so that a truncated file keeps
// them, then ids, then the large ones.
[[nodiscard]] std::vector<LayoutColumn> columns_of(const Segment& segment, const TraceInfo& info, const IdLayout& ids);

// A column of numbers of any type as F32.
[[nodiscard]] LayoutColumn widened_column(const LayoutColumn& column);

// The largest number of experts of any row, physical ones included.
[[nodiscard]] std::uint32_t widest_row(const Trace& trace);

}  // namespace moescope
