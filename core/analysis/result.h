// Result: what an analysis returns and the only thing that is ever drawn, reported, exported or cached.
// Pure data with units, provenance and caveats. Every cell may be absent (NaN here, null in JSON) and may carry its n
// and an interval. Made by analyses on any thread; immutable afterwards (passed as shared_ptr<const Result>).
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/ids.h"

namespace moescope {

// Where a Result comes from; together with the program version enough to compute it again.
struct Provenance {
  std::string analysis;   // registered name, "expert_load"
  int version = 1;        // of the analysis
  nlohmann::json params;  // as used, defaults filled in
  std::string input_name, input_hash;
  std::string filter;        // text of the filter, empty = all tokens
  std::uint64_t tokens = 0;  // n: tokens that counted
  std::string compute_type;  // of the capture
  std::string command_line;  // the moescope-cli call that gives this Result
};

// Why a cell is absent: drawn as hatch (filtered out, not recorded) or flat grey (too few), never as zero.
enum class Absence : std::uint8_t { present, not_recorded, filtered_out, too_few };

// A number with what is known about it. `value` NaN = absent.
struct Estimate {
  double value = 0;
  double low = 0, high = 0;  // interval; NaN = none
  double n = 0;              // NaN = not applicable
};

// rows × columns numbers; ragged rows (uneven E) end in absent cells.
struct Matrix {
  std::string name = {}, title = {}, unit = {};
  std::string row_axis = {}, column_axis = {};  // axis labels
  std::vector<std::string> row_names = {}, column_names = {};
  std::vector<double> values = {};          // [rows × columns]
  std::vector<double> n = {};               // [rows × columns], [rows] or empty
  std::vector<double> low = {}, high = {};  // [rows × columns] or empty
  std::vector<Absence> absence = {};        // [rows × columns] or empty = all present
  std::string formula = {};                 // in words or symbols, shown on request
  [[nodiscard]] std::size_t rows() const { return row_names.size(); }
  [[nodiscard]] std::size_t columns() const { return column_names.size(); }
  [[nodiscard]] double at(std::size_t r, std::size_t c) const { return values[r * columns() + c]; }
};

// y over x, with an optional interval; `role` null = a band from shuffling, drawn grey.
struct Series {
  enum class Role : std::uint8_t { data, null_band, reference };
  std::string name = {}, title = {}, x_axis = {}, y_axis = {}, unit = {}, formula = {};
  Role role = Role::data;
  std::vector<double> x = {}, y = {}, low = {}, high = {}, n = {};  // low, high, n may be empty
  std::vector<std::string> x_names = {};                            // categories, when x is not a number
};

struct Scalar {
  std::string name, title, unit, formula;
  Estimate estimate;
};

// Cells of mixed kinds; monostate = absent.
struct Table {
  using Cell = std::variant<std::monostate, double, std::int64_t, std::string>;
  struct Column {
    std::string name, unit;
    int digits = 3;  // decimals shown for doubles
  };
  std::string name, title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

// Nodes are experts; links carry a value and its n.
struct Graph {
  struct Node {
    ExpertRef expert;
    double value = 0;
  };
  struct Link {
    LinkRef link;
    double value = 0;
    double n = 0;
  };
  std::string name, title, unit;
  std::vector<Node> nodes;
  std::vector<Link> links;
};

struct Result {
  std::string title;
  Provenance provenance;
  std::vector<std::string> caveats;  // sentences: approximate routes, few tokens, null explained
  std::vector<Matrix> matrices;
  std::vector<Series> series;
  std::vector<Scalar> scalars;
  std::vector<Table> tables;
  std::vector<Graph> graphs;

  [[nodiscard]] MOESCOPE_API const Matrix* matrix(const std::string& name) const;
  [[nodiscard]] MOESCOPE_API const Series* find_series(const std::string& name) const;
  [[nodiscard]] MOESCOPE_API const Scalar* scalar(const std::string& name) const;
  [[nodiscard]] MOESCOPE_API const Table* table(const std::string& name) const;
  [[nodiscard]] MOESCOPE_API const Graph* graph(const std::string& name) const;
};

using ResultPtr = std::shared_ptr<const Result>;

// JSON of a Result, absent = null; from_json refuses what is not one. CSV: one block per part, each with a header line
// that names the part, its unit and n. Both are complete: from_json(to_json(r)) gives r again.
[[nodiscard]] MOESCOPE_API nlohmann::json result_to_json(const Result& result);
[[nodiscard]] MOESCOPE_API Expected<Result> result_from_json(const nlohmann::json& json);
[[nodiscard]] MOESCOPE_API std::string result_to_csv(const Result& result);

}  // namespace moescope
