// Analysis: a named, versioned, pure function from a trace snapshot and a filter to a Result. Built-ins and plugins
// register the same way. run() may be called from any thread, several at once.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

// One parameter, for help texts, the inspector and checks. `type`: "int", "number", "text", "choice", "bool".
struct ParameterSpec {
  std::string name, type, help;
  nlohmann::json default_value;
  std::vector<std::string> choices = {};
  std::optional<double> minimum = {}, maximum = {};  // of numbers, inclusive
};

struct AnalysisInput {
  const Trace& trace;
  const AppliedFilter& filter;
  nlohmann::json params;  // checked against the specs, defaults filled in
  WorkContext work;
  // Takes what is known so far, from the calling thread; empty when nobody watches. Such a Result says so in its first
  // caveat.
  std::function<void(Result)> partial = {};
};

struct AnalysisSpec {
  std::string name;   // "expert_load"
  std::string title;  // "Expert load"
  std::string help;   // one sentence
  int version = 1;
  std::vector<ParameterSpec> parameters;
  // Why it cannot run on this trace ("needs router logits, which this trace did not record"), or empty.
  std::function<std::string(const Trace&)> unavailable;
  std::function<Expected<Result>(const AnalysisInput&)> run;
  // Whether Results are kept in the session: not where each look asks for another and gets it as fast.
  bool stored = true;
};

// All analyses, in the order of menus. Built once, immutable: any thread.
[[nodiscard]] MOESCOPE_API std::span<const AnalysisSpec> analyses();
[[nodiscard]] MOESCOPE_API const AnalysisSpec* find_analysis(const std::string& name);

// Checks parameters, fills defaults and provenance, asks `unavailable`, runs, and checks the trace's file is still
// there. `partial`, if not empty, may be called on the way with Results of a part of the tokens or without intervals.
[[nodiscard]] MOESCOPE_API Expected<Result> run_analysis(const std::string& name, const Trace& trace,
                                                         const AppliedFilter& filter, const nlohmann::json& params,
                                                         const WorkContext& work = {},
                                                         const std::function<void(Result)>& partial = {});

}  // namespace moescope
