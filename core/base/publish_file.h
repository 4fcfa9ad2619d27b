// Gives a file that others wrote its final name, so that a reader sees the old content or the new, never half of it.
// Any thread.
#pragma once

#include <filesystem>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// Flushes `from` to the disk and renames it to `to`, replacing what was there. Error (input) when either fails.
[[nodiscard]] MOESCOPE_API Expected<void> publish_file(const std::filesystem::path& from,
                                                       const std::filesystem::path& to);

}  // namespace moescope
