// What the inspector lists about a trace or a token, read from the trace: names and values. Any thread.
#pragma once

#include <QString>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/trace/trace.h"

namespace moescope {

using InspectorFields = std::vector<std::pair<QString, QString>>;

// Model, layers, tokens, and what was recorded and what was not.
[[nodiscard]] InspectorFields trace_fields(const Trace& trace);
// Where the token stands, its tags and loss, and its experts with weights at every layer.
[[nodiscard]] InspectorFields token_fields(const Trace& trace, std::uint64_t token);

}  // namespace moescope
