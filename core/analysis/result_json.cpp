// JSON of Results, both ways. Numbers that are not finite are null. nlohmann's exceptions end here.
#include <cmath>
#include <limits>

#include "core/analysis/result.h"

namespace moescope {
namespace {

using Json = nlohmann::json;
constexpr const char* format_name = "moescope-result";
constexpr int format_version = 1;
constexpr double absent = std::numeric_limits<double>::quiet_NaN();

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json numbers(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double value : values) out.push_back(json_number(value));
  return out;
}
double read_number(const Json& json) {
  return json.is_null() ? absent : json.get<double>();
}
std::vector<double> read_numbers(const Json& json) {
  if (!json.is_array()) throw Json::type_error::create(302, "an array of numbers is expected", &json);
  std::vector<double> out;
  out.reserve(json.size());
  for (const Json& value : json) out.push_back(read_number(value));
  return out;
}

constexpr const char* absence_names[] = {"present", "not_recorded", "filtered_out", "too_few"};
constexpr const char* role_names[] = {"data", "null_band", "reference"};

// Index of a name in a list; throws like a missing key.
template <std::size_t N>
std::size_t index_of(const char* const (&names)[N], const Json& json) {
  const auto text = json.get<std::string>();
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) return i;
  }
  throw Json::other_error::create(501, "unknown word \"" + text + "\"", &json);
}

void demand(bool holds, const std::string& what) {
  if (!holds) throw Json::other_error::create(501, what, static_cast<const Json*>(nullptr));
}

Json expert_json(const ExpertRef& expert) {
  return Json::array({expert.row, expert.expert});
}
ExpertRef read_expert(const Json& json) {
  return ExpertRef{json.at(0).get<std::uint32_t>(), json.at(1).get<std::uint32_t>()};
}

Json matrix_json(const Matrix& m) {
  Json absence = Json::array();
  for (const Absence a : m.absence) absence.push_back(absence_names[static_cast<std::size_t>(a)]);
  return Json{{"name", m.name},
              {"title", m.title},
              {"unit", m.unit},
              {"row_axis", m.row_axis},
              {"column_axis", m.column_axis},
              {"row_names", m.row_names},
              {"column_names", m.column_names},
              {"values", numbers(m.values)},
              {"n", numbers(m.n)},
              {"low", numbers(m.low)},
              {"high", numbers(m.high)},
              {"absence", std::move(absence)},
              {"formula", m.formula}};
}

Matrix read_matrix(const Json& json) {
  Matrix m;
  m.name = json.at("name").get<std::string>();
  m.title = json.at("title").get<std::string>();
  m.unit = json.at("unit").get<std::string>();
  m.row_axis = json.at("row_axis").get<std::string>();
  m.column_axis = json.at("column_axis").get<std::string>();
  m.row_names = json.at("row_names").get<std::vector<std::string>>();
  m.column_names = json.at("column_names").get<std::vector<std::string>>();
  m.values = read_numbers(json.at("values"));
  m.n = read_numbers(json.at("n"));
  m.low = read_numbers(json.at("low"));
  m.high = read_numbers(json.at("high"));
  for (const Json& word : json.at("absence")) m.absence.push_back(static_cast<Absence>(index_of(absence_names, word)));
  m.formula = json.at("formula").get<std::string>();
  const std::size_t cells = m.rows() * m.columns();
  demand(m.values.size() == cells, "matrix \"" + m.name + "\" has a wrong number of values");
  demand(m.n.empty() || m.n.size() == cells || m.n.size() == m.rows(),
         "matrix \"" + m.name + "\" has a wrong number of n");
  demand((m.low.empty() || m.low.size() == cells) && m.low.size() == m.high.size(),
         "matrix \"" + m.name + "\" has a wrong number of bounds");
  demand(m.absence.empty() || m.absence.size() == cells,
         "matrix \"" + m.name + "\" has a wrong number of absence codes");
  return m;
}

Json series_json(const Series& s) {
  return Json{{"name", s.name},
              {"title", s.title},
              {"x_axis", s.x_axis},
              {"y_axis", s.y_axis},
              {"unit", s.unit},
              {"formula", s.formula},
              {"role", role_names[static_cast<std::size_t>(s.role)]},
              {"x", numbers(s.x)},
              {"y", numbers(s.y)},
              {"low", numbers(s.low)},
              {"high", numbers(s.high)},
              {"n", numbers(s.n)},
              {"x_names", s.x_names}};
}

Series read_series(const Json& json) {
  Series s;
  s.name = json.at("name").get<std::string>();
  s.title = json.at("title").get<std::string>();
  s.x_axis = json.at("x_axis").get<std::string>();
  s.y_axis = json.at("y_axis").get<std::string>();
  s.unit = json.at("unit").get<std::string>();
  s.formula = json.at("formula").get<std::string>();
  s.role = static_cast<Series::Role>(index_of(role_names, json.at("role")));
  s.x = read_numbers(json.at("x"));
  s.y = read_numbers(json.at("y"));
  s.low = read_numbers(json.at("low"));
  s.high = read_numbers(json.at("high"));
  s.n = read_numbers(json.at("n"));
  s.x_names = json.at("x_names").get<std::vector<std::string>>();
  const auto fits = [&](std::size_t size) { return size == 0 || size == s.y.size(); };
  demand(s.x.size() == s.y.size() && fits(s.low.size()) && s.low.size() == s.high.size() && fits(s.n.size()) &&
             fits(s.x_names.size()),
         "the columns of series \"" + s.name + "\" differ in length");
  return s;
}

Json cell_json(const Table::Cell& cell) {
  if (const auto* real = std::get_if<double>(&cell)) return json_number(*real);
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return Json(*whole);
  if (const auto* text = std::get_if<std::string>(&cell)) return Json(*text);
  return Json(nullptr);
}

Table::Cell read_cell(const Json& json) {
  if (json.is_null()) return std::monostate{};
  if (json.is_string()) return json.get<std::string>();
  if (json.is_number_float()) return json.get<double>();
  demand(json.is_number_integer(), "a cell of a table is neither number, text nor null");
  return json.get<std::int64_t>();
}

Json table_json(const Table& t) {
  Json columns = Json::array();
  for (const auto& column : t.columns) {
    columns.push_back(Json{{"name", column.name}, {"unit", column.unit}, {"digits", column.digits}});
  }
  Json rows = Json::array();
  for (const auto& row : t.rows) {
    Json cells = Json::array();
    for (const auto& cell : row) cells.push_back(cell_json(cell));
    rows.push_back(std::move(cells));
  }
  return Json{{"name", t.name}, {"title", t.title}, {"columns", std::move(columns)}, {"rows", std::move(rows)}};
}

Table read_table(const Json& json) {
  Table t;
  t.name = json.at("name").get<std::string>();
  t.title = json.at("title").get<std::string>();
  for (const Json& column : json.at("columns")) {
    t.columns.push_back(Table::Column{column.at("name").get<std::string>(), column.at("unit").get<std::string>(),
                                      column.at("digits").get<int>()});
  }
  for (const Json& row : json.at("rows")) {
    demand(row.is_array() && row.size() == t.columns.size(),
           "a row of table \"" + t.name + "\" has a wrong number of cells");
    auto& cells = t.rows.emplace_back();
    for (const Json& cell : row) cells.push_back(read_cell(cell));
  }
  return t;
}

Json graph_json(const Graph& g) {
  Json nodes = Json::array();
  for (const auto& node : g.nodes) {
    nodes.push_back(Json{{"expert", expert_json(node.expert)}, {"value", json_number(node.value)}});
  }
  Json links = Json::array();
  for (const auto& link : g.links) {
    links.push_back(Json{{"from", expert_json(link.link.from)},
                         {"to", expert_json(link.link.to)},
                         {"value", json_number(link.value)},
                         {"n", json_number(link.n)}});
  }
  return Json{{"name", g.name}, {"title", g.title}, {"unit", g.unit}, {"nodes", nodes}, {"links", links}};
}

Graph read_graph(const Json& json) {
  Graph g;
  g.name = json.at("name").get<std::string>();
  g.title = json.at("title").get<std::string>();
  g.unit = json.at("unit").get<std::string>();
  for (const Json& node : json.at("nodes")) {
    g.nodes.push_back(Graph::Node{read_expert(node.at("expert")), read_number(node.at("value"))});
  }
  for (const Json& link : json.at("links")) {
    g.links.push_back(Graph::Link{LinkRef{read_expert(link.at("from")), read_expert(link.at("to"))},
                                  read_number(link.at("value")), read_number(link.at("n"))});
  }
  return g;
}

Json scalar_json(const Scalar& s) {
  return Json{{"name", s.name},
              {"title", s.title},
              {"unit", s.unit},
              {"formula", s.formula},
              {"value", json_number(s.estimate.value)},
              {"low", json_number(s.estimate.low)},
              {"high", json_number(s.estimate.high)},
              {"n", json_number(s.estimate.n)}};
}

Scalar read_scalar(const Json& json) {
  return Scalar{json.at("name").get<std::string>(), json.at("title").get<std::string>(),
                json.at("unit").get<std::string>(), json.at("formula").get<std::string>(),
                Estimate{read_number(json.at("value")), read_number(json.at("low")), read_number(json.at("high")),
                         read_number(json.at("n"))}};
}

Json provenance_json(const Provenance& p) {
  return Json{{"analysis", p.analysis},     {"version", p.version},           {"params", p.params},
              {"input_name", p.input_name}, {"input_hash", p.input_hash},     {"filter", p.filter},
              {"tokens", p.tokens},         {"compute_type", p.compute_type}, {"command_line", p.command_line}};
}

Provenance read_provenance(const Json& json) {
  Provenance p;
  p.analysis = json.at("analysis").get<std::string>();
  p.version = json.at("version").get<int>();
  p.params = json.at("params");
  p.input_name = json.at("input_name").get<std::string>();
  p.input_hash = json.at("input_hash").get<std::string>();
  p.filter = json.at("filter").get<std::string>();
  p.tokens = json.at("tokens").get<std::uint64_t>();
  p.compute_type = json.at("compute_type").get<std::string>();
  p.command_line = json.at("command_line").get<std::string>();
  return p;
}

template <typename Part, typename Write>
Json parts_json(const std::vector<Part>& parts, Write write) {
  Json out = Json::array();
  for (const Part& part : parts) out.push_back(write(part));
  return out;
}

template <typename Part, typename Read>
void read_parts(const Json& json, const char* name, std::vector<Part>& parts, Read read) {
  const Json& list = json.at(name);
  demand(list.is_array(), std::string("\"") + name + "\" is not a list");
  for (const Json& part : list) parts.push_back(read(part));
}

}  // namespace

nlohmann::json result_to_json(const Result& result) {
  return Json{{"format", format_name},
              {"format_version", format_version},
              {"title", result.title},
              {"provenance", provenance_json(result.provenance)},
              {"caveats", result.caveats},
              {"matrices", parts_json(result.matrices, matrix_json)},
              {"series", parts_json(result.series, series_json)},
              {"scalars", parts_json(result.scalars, scalar_json)},
              {"tables", parts_json(result.tables, table_json)},
              {"graphs", parts_json(result.graphs, graph_json)}};
}

Expected<Result> result_from_json(const nlohmann::json& json) {
  try {
    if (!json.is_object() || json.value("format", "") != format_name) {
      return fail(ErrorKind::input, "this JSON is not a MoEScope result", "", "Give a file written by MoEScope");
    }
    if (json.at("format_version").get<int>() != format_version) {
      return fail(ErrorKind::input, "this result is of an unknown format version", json.at("format_version").dump(),
                  "Open it with the version of MoEScope that wrote it");
    }
    Result result;
    result.title = json.at("title").get<std::string>();
    result.provenance = read_provenance(json.at("provenance"));
    result.caveats = json.at("caveats").get<std::vector<std::string>>();
    read_parts(json, "matrices", result.matrices, read_matrix);
    read_parts(json, "series", result.series, read_series);
    read_parts(json, "scalars", result.scalars, read_scalar);
    read_parts(json, "tables", result.tables, read_table);
    read_parts(json, "graphs", result.graphs, read_graph);
    return result;
  } catch (const Json::exception& exception) {
    return fail(ErrorKind::input, "this result is damaged", exception.what(), "Compute the result again");
  }
}

}  // namespace moescope
