// How each number was made: formulas of the Results' parts and the commands that give them again.
#include <set>

#include "core/report/report_parts.h"

namespace moescope {

ReportSection methods_section(const std::vector<ReportData>& data) {
  ReportSection section{"methods", "Methods and formulas", false, {}};
  ReportTable formulas;
  formulas.title = "Formulas";
  formulas.columns = {{"Quantity", false}, {"Formula", false}, {"Unit", false}};
  ReportTable runs;
  runs.title = "How to compute it again";
  runs.columns = {{"Data", false}, {"Analysis", false}, {"Parameters", false}, {"Command", false}};
  std::set<std::string> seen;
  const auto add = [&](const std::string& title, const std::string& formula, const std::string& unit) {
    if (!formula.empty() && seen.insert(title + formula).second) formulas.rows.push_back({title, formula, unit});
  };
  for (const ReportData& d : data) {
    for (const Matrix& m : d.result->matrices) add(m.title, m.formula, m.unit);
    for (const Series& s : d.result->series) add(s.title, s.formula, s.unit);
    for (const Scalar& s : d.result->scalars) add(s.title, s.formula, s.unit);
    const Provenance& p = d.result->provenance;
    if (p.command_line.empty()) continue;
    std::string params;
    for (const auto& [name, value] : p.params.items())
      params +=
          (params.empty() ? "" : ", ") + name + " = " + (value.is_string() ? value.get<std::string>() : value.dump());
    runs.rows.push_back({d.name, p.analysis + " " + std::to_string(p.version), params, p.command_line});
  }
  section.blocks.emplace_back(plain(
      "Every number is read from a Result of a named analysis. Intervals resample whole sequences, as tokens of one "
      "text are alike. A null shuffles what is compared and keeps everything else; a value inside its band is what "
      "chance gives. Cells that were filtered out, not recorded or too few are hatched or grey, never zero."));
  if (!formulas.rows.empty()) section.blocks.emplace_back(std::move(formulas));
  if (!runs.rows.empty()) section.blocks.emplace_back(std::move(runs));
  return section;
}

}  // namespace moescope
