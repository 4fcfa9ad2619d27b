// CSV of Results: blocks separated by an empty line; the first line of a block begins with # and names the part.
#include <fmt/format.h>

#include <cmath>
#include <initializer_list>
#include <string_view>

#include "core/analysis/result.h"

namespace moescope {
namespace {

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

// Absent numbers are empty fields.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}
std::string number_at(const std::vector<double>& values, std::size_t i) {
  return i < values.size() ? number(values[i]) : std::string();
}

void line(std::string& out, std::initializer_list<std::string> fields) {
  bool first = true;
  for (const auto& field : fields) {
    if (!first) out += ',';
    out += csv_field(field);
    first = false;
  }
  out += '\n';
}

// "# matrix share, Share of slots, unit: fraction, n: per cell"
void head(std::string& out, const char* kind, const std::string& name, const std::string& title,
          const std::string& unit, const char* n, const std::string& formula) {
  if (!out.empty()) out += '\n';
  std::string text = fmt::format("# {} {}; {}; unit: {}; n: {}", kind, name, title, unit.empty() ? "none" : unit, n);
  if (!formula.empty()) text += "; formula: " + formula;
  out += csv_field(text) + '\n';
}

const char* absence_text(Absence absence) {
  switch (absence) {
    case Absence::present:
      return "";
    case Absence::not_recorded:
      return "not recorded";
    case Absence::filtered_out:
      return "filtered out";
    case Absence::too_few:
      return "too few";
  }
  return "";
}

void write_matrix(std::string& out, const Matrix& m) {
  const bool per_row = !m.n.empty() && m.n.size() == m.rows() && m.columns() != 1;
  head(out, "matrix", m.name, m.title, m.unit, m.n.empty() ? "not applicable" : (per_row ? "per row" : "per cell"),
       m.formula);
  line(out, {m.row_axis.empty() ? "row" : m.row_axis, m.column_axis.empty() ? "column" : m.column_axis, "value", "n",
             "low", "high", "absent because"});
  for (std::size_t r = 0; r < m.rows(); ++r) {
    for (std::size_t c = 0; c < m.columns(); ++c) {
      const std::size_t i = r * m.columns() + c;
      line(out, {m.row_names[r], m.column_names[c], number(m.values[i]), number_at(m.n, per_row ? r : i),
                 number_at(m.low, i), number_at(m.high, i), m.absence.empty() ? "" : absence_text(m.absence[i])});
    }
  }
}

void write_series(std::string& out, const Series& s) {
  const char* role =
      s.role == Series::Role::data ? "" : (s.role == Series::Role::null_band ? " (null)" : " (reference)");
  head(out, "series", s.name, s.title + role, s.unit, s.n.empty() ? "not applicable" : "per point", s.formula);
  line(out, {s.x_axis.empty() ? "x" : s.x_axis, "name", s.y_axis.empty() ? "y" : s.y_axis, "n", "low", "high"});
  for (std::size_t i = 0; i < s.y.size(); ++i) {
    line(out, {number_at(s.x, i), i < s.x_names.size() ? s.x_names[i] : "", number(s.y[i]), number_at(s.n, i),
               number_at(s.low, i), number_at(s.high, i)});
  }
}

std::string cell_text(const Table::Cell& cell) {
  if (const auto* real = std::get_if<double>(&cell)) return number(*real);
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return std::to_string(*whole);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return {};
}

void write_table(std::string& out, const Table& t) {
  head(out, "table", t.name, t.title, "per column", "in its column", "");
  const auto join = [&](std::size_t count, auto field) {
    for (std::size_t i = 0; i < count; ++i) out += (i ? "," : "") + csv_field(field(i));
    out += '\n';
  };
  join(t.columns.size(), [&](std::size_t i) {
    const auto& column = t.columns[i];
    return column.unit.empty() ? column.name : column.name + " [" + column.unit + "]";
  });
  for (const auto& row : t.rows) join(row.size(), [&](std::size_t i) { return cell_text(row[i]); });
}

void write_graph(std::string& out, const Graph& g) {
  head(out, "graph nodes of", g.name, g.title, g.unit, "not applicable", "");
  line(out, {"row", "expert", "value"});
  for (const auto& node : g.nodes) {
    line(out, {std::to_string(node.expert.row), std::to_string(node.expert.expert), number(node.value)});
  }
  head(out, "graph links of", g.name, g.title, g.unit, "per link", "");
  line(out, {"from row", "from expert", "to row", "to expert", "value", "n"});
  for (const auto& [link, value, n] : g.links) {
    line(out, {std::to_string(link.from.row), std::to_string(link.from.expert), std::to_string(link.to.row),
               std::to_string(link.to.expert), number(value), number(n)});
  }
}

}  // namespace

std::string result_to_csv(const Result& result) {
  std::string out;
  const Provenance& p = result.provenance;
  head(out, "result", p.analysis, result.title, "", "in each part", "");
  line(out, {"key", "value"});
  line(out, {"analysis", p.analysis});
  line(out, {"version", std::to_string(p.version)});
  line(out, {"parameters", p.params.is_null() ? "" : p.params.dump()});
  line(out, {"input", p.input_name});
  line(out, {"input hash", p.input_hash});
  line(out, {"filter", p.filter});
  line(out, {"tokens", std::to_string(p.tokens)});
  line(out, {"compute type", p.compute_type});
  line(out, {"command", p.command_line});
  for (const auto& caveat : result.caveats) line(out, {"caveat", caveat});
  if (!result.scalars.empty()) {
    head(out, "scalars", "", "Single numbers", "per line", "per line", "");
    line(out, {"name", "title", "unit", "value", "low", "high", "n", "formula"});
    for (const auto& s : result.scalars) {
      line(out, {s.name, s.title, s.unit, number(s.estimate.value), number(s.estimate.low), number(s.estimate.high),
                 number(s.estimate.n), s.formula});
    }
  }
  for (const auto& matrix : result.matrices) write_matrix(out, matrix);
  for (const auto& series : result.series) write_series(out, series);
  for (const auto& table : result.tables) write_table(out, table);
  for (const auto& graph : result.graphs) write_graph(out, graph);
  return out;
}

}  // namespace moescope
