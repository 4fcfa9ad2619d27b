// The table of one pair of rows while it is filled, tile by tile. Used by this folder only; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/row_tile.h"

namespace moescope::kernels {

struct PairTable {
  PairTable(std::uint32_t from_experts, std::uint32_t to_experts, Ranks ranks);
  // Both rows over the same tile, loaded with sets unless only first ranks count. Makes the lists or columns it needs
  // of them.
  void add(const KernelSet& set, RowTile& a, RowTile& b);

  void add_to(PairCounts& counts) const;

  std::vector<std::uint32_t> cells;  // [from × to] or empty
  std::vector<std::uint32_t> first;  // [(from + 1) × (to + 1)] or empty
  std::vector<std::uint64_t> from, to;
  std::uint64_t tokens = 0, bad = 0;

 private:
  void add_ids(RowTile& a, RowTile& b);
  void add_margins(const RowTile& a, const RowTile& b);
};

}  // namespace moescope::kernels
