// The JSON that a trace says about itself: metadata key `moescope` of a trace file. Called by the trace file's reader
// and writer and by the hash of a trace; any thread.
#pragma once

#include <string>

#include "core/base/error.h"
#include "core/trace/trace.h"

namespace moescope {

inline constexpr int trace_format_version = 1;
inline constexpr std::uint32_t trace_expert_limit = 65'535;
inline constexpr std::size_t trace_row_limit = 100'000;

// Compact JSON, UTF-8 (bytes that are not are replaced).
[[nodiscard]] std::string trace_metadata_text(const TraceInfo& info);

// Errors (input): not JSON, a higher version, a requirement that this reader does not know, rows without experts or
// with more than 65,535, a value of the wrong type.
[[nodiscard]] Expected<TraceInfo> parse_trace_metadata(const std::string& text, const std::string& file);

}  // namespace moescope
