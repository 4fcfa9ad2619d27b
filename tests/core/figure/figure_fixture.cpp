#include "tests/core/figure/figure_fixture.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <vector>

namespace moescope::test {
namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::string padded(std::size_t e) {
  return (e < 10 ? "E0" : "E") + std::to_string(e);
}
}  // namespace

ResultPtr load_result(std::size_t rows, std::size_t experts, std::size_t absent) {
  auto result = std::make_shared<Result>();
  result->title = "Expert load";
  result->provenance.analysis = "expert_load";
  result->provenance.tokens = 12522;
  Matrix share;
  share.name = "share";
  share.title = "Share of slots";
  for (std::size_t r = 0; r < rows; ++r) share.row_names.push_back("L" + std::to_string(r));
  for (std::size_t e = 0; e < experts; ++e) share.column_names.push_back(padded(e));
  Series effective;
  effective.name = "effective_experts";
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<double> p(experts);
    double sum = 0;
    const double ratio = std::pow(0.1 + 0.05 * static_cast<double>(r % 4), 1.0 / static_cast<double>(experts) * 2);
    for (std::size_t e = 0; e < experts; ++e)
      sum += p[e] = std::pow(ratio, static_cast<double>((e * 7 + 3 * r) % experts));
    double entropy = 0;
    for (double& v : p) {
      v /= sum;
      entropy -= v * std::log(v);
    }
    const bool gone = r < absent;
    for (const double v : p) {
      share.values.push_back(gone ? nan : v);
      share.low.push_back(gone ? nan : v * 0.95);
      share.high.push_back(gone ? nan : v * 1.05);
      share.absence.push_back(gone ? Absence::filtered_out : Absence::present);
    }
    share.n.push_back(gone ? nan : 25044);
    effective.x.push_back(static_cast<double>(r));
    effective.y.push_back(gone ? nan : std::exp(entropy));
  }
  Matrix count = share;
  count.name = "count";
  Matrix lift = share;
  lift.name = "lift";
  for (std::size_t i = 0; i < share.values.size(); ++i) {
    count.values[i] = std::round(share.values[i] * 25044);
    count.low.clear();
    count.high.clear();
    for (auto* v : {&lift.values, &lift.low, &lift.high}) (*v)[i] *= static_cast<double>(experts);
  }
  result->matrices = {count, share, lift};
  result->series = {effective};
  return result;
}

void keep_svg(const Figure& figure, const std::string& name) {
  const char* folder = std::getenv("MOESCOPE_FIGURES");
  if (folder == nullptr) return;
  for (const Theme theme : {Theme::dark, Theme::light}) {
    std::ofstream out(std::string(folder) + "/" + name + (theme == Theme::dark ? "_dark.svg" : "_light.svg"));
    out << figure_to_svg(figure, theme, true);
  }
}

std::string xml_problem(const std::string& xml) {
  std::vector<std::string> open;
  std::size_t i = 0;
  while (i < xml.size()) {
    if (xml[i] == '&') {
      const std::size_t end = xml.find(';', i);
      if (end == std::string::npos || end - i > 8) return "bare & at " + std::to_string(i);
    }
    if (xml[i] != '<') {
      ++i;
      continue;
    }
    const std::size_t end = xml.find('>', i);
    if (end == std::string::npos) return "unclosed tag at " + std::to_string(i);
    const std::string tag = xml.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string::npos) return "< inside tag: " + tag;
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "open quote: " + tag;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return "closes what is not open: " + tag;
      open.pop_back();
    } else if (tag[0] != '?' && tag[0] != '!' && tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    i = end + 1;
  }
  return open.empty() ? "" : "left open: " + open.back();
}

std::string overlapping_texts(const Figure& figure) {
  std::vector<std::pair<Box, std::string>> texts;
  for (const Mark& mark : figure.marks) {
    const auto* text = std::get_if<TextMark>(&mark.shape);
    if (text == nullptr || text->text.empty()) continue;
    const Box box = bounds_of(mark);
    for (const auto& [other, words] : texts) {
      const double dx = std::min(box.x + box.width, other.x + other.width) - std::max(box.x, other.x);
      const double dy = std::min(box.y + box.height, other.y + other.height) - std::max(box.y, other.y);
      if (dx > 1 && dy > 1) return words + " | " + text->text;
    }
    texts.emplace_back(box, text->text);
  }
  return {};
}

std::string mark_outside(const Figure& figure) {
  for (const Mark& mark : figure.marks) {
    const Box box = bounds_of(mark);
    if (box.x >= -1 && box.y >= -1 && box.x + box.width <= figure.width + 1 && box.y + box.height <= figure.height + 1)
      continue;
    const auto* text = std::get_if<TextMark>(&mark.shape);
    return (text != nullptr ? "text " + text->text : "mark " + std::to_string(mark.shape.index())) + " at " +
           std::to_string(box.x) + "," + std::to_string(box.y) + " " + std::to_string(box.width) + "x" +
           std::to_string(box.height);
  }
  return {};
}

}  // namespace moescope::test
