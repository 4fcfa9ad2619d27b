// The writers behind the table of exporters, and what they share. Private to core/trace/export.
#pragma once

#include <cstdint>
#include <vector>

#include "core/trace/export/exporter.h"

namespace moescope {

[[nodiscard]] Expected<void> export_csv(const Trace& trace, const std::filesystem::path& out,
                                        std::vector<std::string>& notes, const WorkContext& work);
[[nodiscard]] Expected<void> export_npz(const Trace& trace, const std::filesystem::path& out,
                                        std::vector<std::string>& notes, const WorkContext& work);
[[nodiscard]] Expected<void> export_exflow(const Trace& trace, const std::filesystem::path& out,
                                           std::vector<std::string>& notes, const WorkContext& work);

// Counts per row and expert, of the routes or of the counts of a trace that has only those; [row][expert].
[[nodiscard]] Expected<std::vector<std::vector<std::int64_t>>> counts_per_row(const Trace& trace,
                                                                              const WorkContext& work);

}  // namespace moescope
