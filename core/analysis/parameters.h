// Parameters of analyses: checked against their specs, defaults filled in, written as a command line. Called by
// run_analysis on any thread; not for use outside core/analysis.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/analysis/analysis.h"

namespace moescope {

// All parameters of `spec`, given ones converted to their type ("12" is accepted for a number, as a command line gives
// it). Errors (usage): an unknown name, a wrong type, a value that is not a choice or out of range.
[[nodiscard]] Expected<nlohmann::json> checked_parameters(const AnalysisSpec& spec, const nlohmann::json& given);

// The moescope-cli call that computes a Result again; parameters at their defaults are left out.
[[nodiscard]] std::string analysis_command_line(const AnalysisSpec& spec, const nlohmann::json& params,
                                                const std::string& input, const std::string& filter);

}  // namespace moescope
