#include "core/figure/matrix_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/figure/result_access.h"

namespace moescope {
namespace {
constexpr std::size_t most_rows = 512;
}

std::vector<std::size_t> order_by_similar_rows(const Matrix& m) {
  const std::size_t rows = m.rows();
  const std::size_t columns = m.columns();
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  if (rows > most_rows || rows < 3) return order;
  std::vector<float> unit(rows * columns, 0);
  std::vector<double> norm(rows, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c)
      if (present(m, r, c)) norm[r] += m.at(r, c) * m.at(r, c);
    norm[r] = std::sqrt(norm[r]);
    for (std::size_t c = 0; c < columns && norm[r] > 0; ++c)
      if (present(m, r, c)) unit[r * columns + c] = static_cast<float>(m.at(r, c) / norm[r]);
  }
  const auto first = static_cast<std::size_t>(std::max_element(norm.begin(), norm.end()) - norm.begin());
  std::swap(order[0], order[first]);
  for (std::size_t placed = 1; placed + 1 < rows; ++placed) {
    const float* last = &unit[order[placed - 1] * columns];
    std::size_t best = placed;
    float best_cosine = -2;
    for (std::size_t i = placed; i < rows; ++i) {
      const float* other = &unit[order[i] * columns];
      const float cosine = std::inner_product(last, last + columns, other, 0.0F);
      if (cosine > best_cosine) {
        best_cosine = cosine;
        best = i;
      }
    }
    std::swap(order[placed], order[best]);
  }
  return order;
}

std::vector<std::size_t> order_by_strongest_source(const Matrix& m, const std::vector<std::size_t>& row_order) {
  std::vector<std::size_t> order(m.columns());
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::size_t> source(m.columns(), 0);
  for (std::size_t c = 0; c < m.columns(); ++c) {
    double best = -1;
    for (std::size_t place = 0; place < row_order.size(); ++place) {
      if (!present(m, row_order[place], c) || m.at(row_order[place], c) <= best) continue;
      best = m.at(row_order[place], c);
      source[c] = place;
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return source[a] < source[b]; });
  return order;
}

}  // namespace moescope
