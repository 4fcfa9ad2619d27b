#include "core/analysis/result.h"

#include <algorithm>

namespace moescope {
namespace {

template <typename Part>
const Part* find_part(const std::vector<Part>& parts, const std::string& name) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

const Matrix* Result::matrix(const std::string& name) const {
  return find_part(matrices, name);
}
const Series* Result::find_series(const std::string& name) const {
  return find_part(series, name);
}
const Scalar* Result::scalar(const std::string& name) const {
  return find_part(scalars, name);
}
const Table* Result::table(const std::string& name) const {
  return find_part(tables, name);
}
const Graph* Result::graph(const std::string& name) const {
  return find_part(graphs, name);
}

}  // namespace moescope
