// Orders of a matrix's rows and columns that bring what is alike together. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/export.h"

namespace moescope {

// Rows as a chain: each is followed by the one left that is most like it (cosine of the rows), from the row with the
// largest norm on. O(rows² · columns); past 512 rows the index order is kept. Absent cells count as zero.
[[nodiscard]] MOESCOPE_API std::vector<std::size_t> order_by_similar_rows(const Matrix& m);

// Columns by the place, in `row_order`, of the row where each is largest, so that strong cells run along the diagonal.
[[nodiscard]] MOESCOPE_API std::vector<std::size_t> order_by_strongest_source(
    const Matrix& m, const std::vector<std::size_t>& row_order);

}  // namespace moescope
