// compare: how two traces of the same tokens differ.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/open_input.h"
#include "core/analysis/compare.h"
#include "core/io/output_file.h"

namespace moescope::cli {
namespace {

struct CompareCommandOptions {
  std::string first, second, out;
  CompareOptions compare;
};

std::string cell_text(const Table::Cell& cell, int digits) {
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{:.{}f}", *number, digits);
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return with_commas(static_cast<std::uint64_t>(*whole));
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return "-";
}

std::string table_text(const Table& table) {
  std::string out;
  for (const auto& column : table.columns) out += fmt::format("{:>12}", column.name);
  out += "\n";
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      out += fmt::format("{:>12}", cell_text(row[c], table.columns[c].digits));
    }
    out += "\n";
  }
  return out;
}

Expected<void> run_compare(const CompareCommandOptions& options) {
  const std::string suffix = std::filesystem::path(options.out).extension().string();
  if (!options.out.empty() && suffix != ".json" && suffix != ".csv") {
    return fail(ErrorKind::usage, fmt::format("the suffix \"{}\" is no known kind of result", suffix), "--out",
                "Use .json or .csv");
  }
  const auto first = open_trace(options.first);
  if (!first) return fail(first.error());
  const auto second = open_trace(options.second);
  if (!second) return fail(second.error());
  const auto result = [&] {
    const ProgressBar bar("Compare traces");
    return compare_traces(**first, **second, options.compare, bar.work());
  }();
  if (!result) return fail(result.error());
  if (!options.out.empty()) {
    const std::string text = suffix == ".json" ? result_to_json(*result).dump(1) + "\n" : result_to_csv(*result);
    return write_whole_file(options.out, text);
  }
  std::string text = result->title + "\n";
  for (const std::string& caveat : result->caveats) text += "  " + caveat + "\n";
  text += "\n" + table_text(*result->table("rows"));
  Table moves = *result->table("moves");
  if (moves.rows.size() > 10) moves.rows.resize(10);
  if (!moves.rows.empty()) text += "\nWho moved where, most tokens first\n" + table_text(moves);
  return print(text);
}

}  // namespace

void add_compare(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<CompareCommandOptions>();
  CLI::App* command = app.add_subcommand("compare", "Compare two traces of the same tokens");
  command->add_option("first", options->first, "Trace file")->required();
  command->add_option("second", options->second, "Trace file of the same tokens")->required();
  command->add_option("--row", options->compare.row, "Router row for the matrix of moves")->capture_default_str();
  command->add_option("--out", options->out, "File to write, .json or .csv; else a summary is printed");
  command->callback([options, &chosen] { chosen.run = [options] { return run_compare(*options); }; });
}

}  // namespace moescope::cli
