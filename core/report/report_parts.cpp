#include "core/report/report_parts.h"

#include <cmath>

namespace moescope {

Extremes extremes(const std::vector<double>& values) {
  Extremes e;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    if (values[i] < e.low) {
      e.low = values[i];
      e.least = i;
    }
    if (values[i] > e.high) {
      e.high = values[i];
      e.most = i;
    }
  }
  return e;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " and " : ", ";
    out += words[i];
  }
  return out;
}

std::vector<std::string> names_of_rows(const Trace& trace) {
  std::vector<std::string> names;
  for (const RouterRow& row : trace.rows()) {
    std::string name = "L" + std::to_string(row.layer);
    if (row.block != "decoder") name += " " + row.block;
    if (row.site != "mlp") name += " " + row.site;
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace moescope
