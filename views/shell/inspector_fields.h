// What the inspector lists about a trace or a token, or about a checkpoint where no trace is open: names and values.
// Any thread.
#pragma once

#include <QString>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/trace/trace.h"

namespace moescope {

using InspectorFields = std::vector<std::pair<QString, QString>>;

// Model, layers, tokens, and what was recorded and what was not.
[[nodiscard]] InspectorFields trace_fields(const Trace& trace);
// Where the token stands, its tags and loss, and its experts with weights at every layer.
[[nodiscard]] InspectorFields token_fields(const Trace& trace, std::uint64_t token);

// Family, sizes and router rule; details are in the Weights view.
[[nodiscard]] InspectorFields checkpoint_fields(const Checkpoint& checkpoint);
// An expert of a layer with experts, counted as rows are where no trace is open.
[[nodiscard]] InspectorFields expert_fields(const Checkpoint& checkpoint, ExpertRef expert);

}  // namespace moescope
