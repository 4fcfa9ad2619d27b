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

ResultPtr affinity_result(std::size_t experts, std::size_t rows) {
  auto result = std::make_shared<Result>();
  result->title = "Affinity";
  result->provenance.analysis = "affinity";
  result->provenance.params = {{"row", 2}, {"distance", 1}};
  result->provenance.tokens = 2040;
  Matrix count;
  count.name = "count";
  count.row_axis = "expert of layer 2";
  count.column_axis = "expert of layer 3";
  for (std::size_t e = 0; e < experts; ++e) count.row_names.push_back(padded(e));
  count.column_names = count.row_names;
  std::vector<double> row_sum(experts, 0);
  std::vector<double> column_sum(experts, 0);
  double total = 0;
  for (std::size_t i = 0; i < experts; ++i) {
    for (std::size_t j = 0; j < experts; ++j) {
      const bool same_block = (i * 4 / experts + 1) % 4 == (j * 4 / experts) % 4;
      const double v = (same_block ? 40 : 6) + static_cast<double>((i * 31 + j * 17) % 11) * (same_block ? 3 : 1) -
                       (j % 13 == 7 ? 5 : 0);
      count.values.push_back(v);
      row_sum[i] += v;
      column_sum[j] += v;
      total += v;
    }
  }
  Matrix probability = count;
  probability.name = "probability";
  Matrix lift = count;
  lift.name = "lift";
  for (std::size_t i = 0; i < experts; ++i) {
    for (std::size_t j = 0; j < experts; ++j) {
      const std::size_t k = i * experts + j;
      probability.values[k] = 2 * count.values[k] / row_sum[i];
      lift.values[k] = count.values[k] * total / row_sum[i] / column_sum[j];
    }
  }
  result->matrices = {count, probability, lift};
  Series strength;
  strength.name = "strength";
  strength.title = "distance 1";
  strength.x_axis = "first layer of the pair";
  strength.y_axis = "affinity strength";
  Series band = strength;
  band.name = "strength_null";
  band.title = "shuffle null, 95 %";
  band.role = Series::Role::null_band;
  Graph links;
  links.name = "links";
  for (std::size_t r = 0; r + 1 < rows; ++r) {
    const auto at = static_cast<double>(r);
    strength.x.push_back(at);
    strength.y.push_back(0.2 + 0.03 * std::sin(2 * at));
    band.x.push_back(at);
    band.y.push_back(0.02);
    band.low.push_back(0.015);
    band.high.push_back(0.025);
    for (std::size_t i = 0; i < 26; ++i) {
      const auto from = static_cast<std::uint32_t>((i * 5 + r) % experts);
      const auto to = static_cast<std::uint32_t>((i * i + 3 * r) % experts);
      links.links.push_back({{{static_cast<std::uint32_t>(r), from}, {static_cast<std::uint32_t>(r + 1), to}},
                             0.2 + 0.02 * static_cast<double>(i),
                             300});
    }
  }
  result->series = {strength, band};
  result->graphs = {links};
  return result;
}

ResultPtr routes_result(std::size_t rows, std::size_t tokens, std::size_t first) {
  static const std::vector<std::string> words = {" table", "[",  " layer", " *",  " experts", " +",
                                                 " id",    "];", "\n",     "   ", " if",      "<b>\"&"};
  auto result = std::make_shared<Result>();
  result->provenance.params = {{"first", first}, {"count", tokens}, {"rank", 1}};
  result->provenance.tokens = tokens;
  Matrix expert;
  expert.name = "expert";
  for (std::size_t r = 0; r < rows; ++r) expert.row_names.push_back("L" + std::to_string(r));
  for (std::size_t t = 0; t < tokens; ++t) expert.column_names.push_back(words[t % words.size()]);
  Matrix weight = expert;
  weight.name = "weight";
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t t = 0; t < tokens; ++t) {
      const bool absent = r == 1 && t == 3;
      expert.values.push_back(absent ? nan : static_cast<double>((t + 3 * r) % 16));
      weight.values.push_back(absent ? nan : 0.5 + 0.5 * static_cast<double>((t * 7 + r * 5) % 20) / 20);
    }
  }
  result->matrices = {expert, weight};
  return result;
}

ResultPtr profile_result() {
  auto result = std::make_shared<Result>();
  result->provenance.tokens = 12522;
  Matrix share;
  share.name = "share";
  share.column_axis = "domain";
  share.column_names = {"prose", "code", "arithmetic", "json", "german", "french"};
  const std::vector<double> four = {0.197, 0.368, 0.014, 0.149, 0.097, 0.056};
  for (std::size_t e = 0; e < 16; ++e) {
    share.row_names.push_back(padded(e));
    for (const double v : four) {
      share.values.push_back(e == 4 ? v : (1 - v) / 15);
      share.low.push_back(share.values.back() * 0.97);
      share.high.push_back(share.values.back() * 1.03);
      share.n.push_back(4172);
    }
  }
  result->matrices = {share};
  return result;
}

ResultPtr tokens_result() {
  auto result = std::make_shared<Result>();
  result->title = "Tokens of L3·E04";
  result->provenance.tokens = 2136;
  Table table;
  table.name = "tokens";
  table.columns = {{"token", "", 0}, {"id", "", 0}, {"count", "", 0}, {"share_of_occurrences", "", 3}};
  const auto row = [&](const char* token, std::int64_t id, std::int64_t count, double share) {
    table.rows.push_back({std::string(token), id, count, share});
  };
  row(",", 11, 336, 0.67);
  row(";", 26, 89, 0.88);
  row("</text><script>alert(1)</script>", 7, 86, 0.97);
  row(")", 8, 81, 0.89);
  row(" {", 90, 60, 1);
  result->tables = {table};
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
