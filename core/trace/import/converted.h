// Trace files that foreign recordings were converted to because they are too large to be held in memory. They lie in
// one folder, are named by what they were made of, and can be made again at any time. Used by import_trace(); any
// thread, several programs at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/trace/import/importer.h"

namespace moescope {

// Where the conversion of these files with these options lies, once it is made.
[[nodiscard]] std::filesystem::path converted_path(const SourceFiles& files, const ImportOptions& options);
// Opens it, marked as used now; nothing when there is none or it is broken.
[[nodiscard]] std::optional<Trace> open_converted(const std::filesystem::path& path);
// Bytes of a segment's columns, nearly.
[[nodiscard]] std::uint64_t column_bytes(const Segment& segment);
// Removes conversions that nobody opened for thirty days.
void tidy_converted(const std::filesystem::path& folder);

}  // namespace moescope
