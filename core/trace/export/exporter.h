// Exporters: traces in the formats of other tools. Called by the command line and by commands. Any thread.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/trace.h"

namespace moescope {

struct Exporter {
  std::string name;   // "npz", as --to takes it
  std::string title;  // for menus and --help
  // Writes the file. What is lost on the way is said in `notes`. Errors: input when the trace does not know what the
  // format needs, or the file cannot be written; cancelled.
  Expected<void> (*write)(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                          const WorkContext& work) = nullptr;
};

[[nodiscard]] MOESCOPE_API std::span<const Exporter> exporters();
// Error (usage) listing the formats there are.
[[nodiscard]] MOESCOPE_API Expected<const Exporter*> find_exporter(const std::string& name);

}  // namespace moescope
