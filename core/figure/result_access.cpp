#include "core/figure/result_access.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/figure/number_format.h"

namespace moescope {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <typename Part>
const Part* named(const std::vector<Part>& parts, const std::string& name) {
  const auto it = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name == name; });
  return it == parts.end() ? nullptr : &*it;
}

bool optional_size(std::size_t size, std::size_t wanted) {
  return size == 0 || size == wanted;
}

}  // namespace

const Matrix* find_matrix(const Result& result, const std::string& name) {
  const Matrix* m = named(result.matrices, name);
  if (m == nullptr) return nullptr;
  const std::size_t cells = m->rows() * m->columns();
  const bool fits = m->values.size() == cells && optional_size(m->low.size(), cells) &&
                    optional_size(m->high.size(), cells) && optional_size(m->absence.size(), cells) &&
                    (optional_size(m->n.size(), cells) || m->n.size() == m->rows());
  return fits ? m : nullptr;
}

const Series* find_line(const Result& result, const std::string& name) {
  const Series* s = named(result.series, name);
  if (s == nullptr) return nullptr;
  const std::size_t points = s->x.size();
  const bool fits = s->y.size() == points && optional_size(s->low.size(), points) &&
                    optional_size(s->high.size(), points) && optional_size(s->n.size(), points) &&
                    optional_size(s->x_names.size(), points);
  return fits ? s : nullptr;
}

const Table* find_table(const Result& result, const std::string& name) {
  const Table* t = named(result.tables, name);
  if (t == nullptr) return nullptr;
  const bool fits =
      std::all_of(t->rows.begin(), t->rows.end(), [&](const auto& row) { return row.size() == t->columns.size(); });
  return fits ? t : nullptr;
}

std::size_t find_column(const Table& table, const std::string& name) {
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].name == name) return i;
  return std::string::npos;
}

double number_at(const Table& table, std::size_t row, std::size_t column) {
  if (row >= table.rows.size() || column >= table.rows[row].size()) return nan;
  const Table::Cell& cell = table.rows[row][column];
  if (const auto* real = std::get_if<double>(&cell)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return static_cast<double>(*whole);
  return nan;
}

std::string text_at(const Table& table, std::size_t row, std::size_t column) {
  if (row >= table.rows.size() || column >= table.rows[row].size()) return {};
  const auto* text = std::get_if<std::string>(&table.rows[row][column]);
  return text != nullptr ? *text : std::string();
}

Absence cell_absence(const Matrix& m, std::size_t row, std::size_t column) {
  const std::size_t i = row * m.columns() + column;
  if (!m.absence.empty() && m.absence[i] != Absence::present) return m.absence[i];
  return std::isnan(m.values[i]) ? Absence::not_recorded : Absence::present;
}

bool present(const Matrix& m, std::size_t row, std::size_t column) {
  return cell_absence(m, row, column) == Absence::present && std::isfinite(m.at(row, column));
}

Absence row_absence(const Matrix& m, std::size_t row) {
  std::array<std::size_t, 4> seen{};
  for (std::size_t c = 0; c < m.columns(); ++c) ++seen.at(static_cast<std::size_t>(cell_absence(m, row, c)));
  return static_cast<Absence>(std::max_element(seen.begin(), seen.end()) - seen.begin());
}

std::string absence_words(Absence why) {
  switch (why) {
    case Absence::present:
      return "";
    case Absence::not_recorded:
      return "not recorded";
    case Absence::filtered_out:
      return "outside filter";
    case Absence::too_few:
      return "too few tokens to say";
  }
  return "";
}

double cell_n(const Matrix& m, std::size_t row, std::size_t column) {
  if (m.n.empty()) return nan;
  return m.n.size() == m.rows() ? m.n[row] : m.n[row * m.columns() + column];
}

bool has_interval(const Matrix& m, std::size_t row, std::size_t column) {
  return std::isfinite(low_of(m, row, column)) && std::isfinite(high_of(m, row, column));
}
double low_of(const Matrix& m, std::size_t row, std::size_t column) {
  return m.low.empty() ? nan : m.low[row * m.columns() + column];
}
double high_of(const Matrix& m, std::size_t row, std::size_t column) {
  return m.high.empty() ? nan : m.high[row * m.columns() + column];
}

std::string expert_name(std::uint32_t expert) {
  return (expert < 10 ? "E0" : "E") + std::to_string(expert);
}

std::string short_expert(const std::string& name) {
  return name.size() > 1 && name[0] == 'E' ? name.substr(1) : name;
}

std::string n_sentence(const Result& result) {
  std::string out = " n = " + format_count(static_cast<double>(result.provenance.tokens)) + " tokens";
  if (!result.provenance.filter.empty()) out += ", filter: " + result.provenance.filter;
  return out + ".";
}

}  // namespace moescope
