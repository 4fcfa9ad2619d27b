#include "core/trace/import/converted.h"

#include <fmt/format.h>

#include <chrono>
#include <system_error>

#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/version.h"
#include "core/trace/import/source_file.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {

constexpr std::chrono::hours kept_for(24 * 30);
constexpr const char* suffix = ".routes.safetensors";

}  // namespace

std::filesystem::path converted_imports_folder() {
  const std::filesystem::path cache = user_cache_folder();
  return cache.empty() ? cache : cache / "imports";
}

std::filesystem::path converted_path(const SourceFiles& files, const ImportOptions& options) {
  Hasher hasher;
  hasher.add(fmt::format("{} {} {} {} {}", version_text, options.format, options.k, options.experts, options.layers));
  if (options.model) {
    hasher.add(
        fmt::format("{} {} {}", options.model->name, options.model->config_hash, options.token_bytes != nullptr));
  }
  for (const auto& file : files) hasher.add(file->name() + " " + fingerprint(file->bytes()));
  return options.converted / (hasher.hex() + suffix);
}

std::optional<Trace> open_converted(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
  auto trace = read_trace(path);
  if (!trace) return std::nullopt;
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(), error);
  return std::move(*trace);
}

std::uint64_t column_bytes(const Segment& s) {
  constexpr std::uint64_t of_token = 32;  // ids, sequences, positions and the like
  std::uint64_t bytes = s.ids8.size() + s.ids16.size() * 2 + s.used.size() + s.gate_weights.bytes.size() +
                        s.router_logits.bytes.size() + s.selection_scores.bytes.size() + s.output_logits.bytes.size();
  for (const auto& [name, values] : s.slot_values) bytes += values.bytes.size();
  for (const auto& [name, values] : s.row_values) bytes += values.bytes.size();
  return bytes + s.tokens * of_token;
}

void tidy_converted(const std::filesystem::path& folder) {
  std::error_code error;
  const auto now = std::filesystem::file_time_type::clock::now();
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    const auto used = at->last_write_time(ignored);
    if (ignored || now - used < kept_for || !at->path().filename().string().ends_with(suffix)) continue;
    std::filesystem::remove(at->path(), ignored);
  }
}

}  // namespace moescope
