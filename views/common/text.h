// Texts that several widgets show: counts with commas, sizes, the shape of a trace, a token made visible. Any thread.
#pragma once

#include <QString>
#include <cstdint>
#include <string>

#include "core/base/ids.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace.h"

namespace moescope {

[[nodiscard]] QString count_text(std::uint64_t n);   // "12,522"
[[nodiscard]] QString byte_text(std::uint64_t n);    // "7.6 MB"
[[nodiscard]] QString short_count(std::uint64_t n);  // "12.5 k"
// "OLMoE sample · 6 layers × 16 experts, top-2"
[[nodiscard]] QString trace_shape(const Trace& trace);
// "L3·E04" of a row of a trace; "row 3·E04" when the trace has no such row.
[[nodiscard]] QString expert_text(const Trace& trace, ExpertRef expert);
[[nodiscard]] QString row_text(const Trace& trace, std::uint32_t row);  // "L3"
// "OLMoE · 16 layers × 64 experts, top-8"
[[nodiscard]] QString checkpoint_shape(const Checkpoint& checkpoint);
// "L3·E04" of a layer with experts of a checkpoint, as rows count where no trace is open.
[[nodiscard]] QString expert_text(const Checkpoint& checkpoint, ExpertRef expert);
// A token with its spaces as "·", line ends as "↵", tabs as "→"; other control characters as their picture.
[[nodiscard]] QString visible_token(const std::string& bytes);

}  // namespace moescope
