#include "core/io/gguf.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "core/io/gguf_header.h"

namespace moescope {
namespace {

// "PREFIX-00002-of-00005.gguf" taken apart.
struct PartName {
  std::string prefix;
  std::int64_t number = 0, count = 0;  // numbered from 1
};

std::optional<std::int64_t> five_digits(std::string_view text) {
  std::int64_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    out = 10 * out + (c - '0');
  }
  return out;
}

std::optional<PartName> part_name(const std::string& name) {
  constexpr std::string_view tail = "-00000-of-00000.gguf";
  if (name.size() < tail.size()) return std::nullopt;
  const std::size_t at = name.size() - tail.size();
  const std::string_view end = std::string_view(name).substr(at);
  const auto number = five_digits(end.substr(1, 5)), count = five_digits(end.substr(10, 5));
  if (end[0] != '-' || end.substr(6, 4) != "-of-" || end.substr(15) != ".gguf" || !number || !count) {
    return std::nullopt;
  }
  return PartName{name.substr(0, at), *number, *count};
}

std::optional<std::int64_t> integer_of(const std::map<std::string, GgufValue>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::nullopt : found->second.integer();
}

Expected<GgufPart> open_part(const std::filesystem::path& path, GgufFile& out) {
  auto file = MappedFile::open(path);
  if (!file) return fail(file.error());
  auto part = read_gguf_part(*file);
  if (part) out.files.push_back(std::move(*file));
  return part;
}

// All parts of the model that `path` is one of.
Expected<GgufFile> read_parts(const std::filesystem::path& path, std::int64_t count) {
  const auto name = part_name(path.filename().string());
  if (!name || name->count != count || count > gguf_limit::parts) {
    return fail(ErrorKind::input,
                fmt::format("the file is one of {} parts, but its name does not say which: it should end in "
                            "-00001-of-{:05}.gguf",
                            count, count),
                path.string(), "Give the parts their original names");
  }
  GgufFile out;
  std::set<std::string> names;
  std::optional<std::int64_t> promised;
  for (std::int64_t i = 1; i <= count; ++i) {
    const auto part_path = path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name->prefix, i, count);
    auto part = open_part(part_path, out);
    if (!part) {
      std::error_code ignored;
      if (std::filesystem::exists(part_path, ignored)) return fail(part.error());
      return fail(ErrorKind::input, fmt::format("part {} of {} is missing", i, count), part_path.string(),
                  "Download the missing part");
    }
    if (integer_of(part->metadata, "split.no") != i - 1 || integer_of(part->metadata, "split.count") != count) {
      return fail(ErrorKind::input, fmt::format("the file says that it is another part than {} of {}", i, count),
                  part_path.string(), "Give the parts their original names");
    }
    for (TensorView& view : part->tensors) {
      if (!names.insert(view.name).second) {
        return fail(ErrorKind::input, "two parts have the same tensor",
                    fmt::format("{}, tensor '{}'", part_path.string(), view.name), "Download the parts again");
      }
      out.tensors.push_back(std::move(view));
    }
    if (i == 1) {
      out.version = part->version;
      promised = integer_of(part->metadata, "split.tensors.count");
      out.metadata = std::move(part->metadata);
    }
  }
  if (promised && *promised != static_cast<std::int64_t>(out.tensors.size())) {
    return fail(ErrorKind::input,
                fmt::format("the parts have {} tensors where {} are promised", out.tensors.size(), *promised),
                path.string(), "Download the parts again");
  }
  return out;
}

}  // namespace

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata.find(std::string(key));
  return found == metadata.end() ? nullptr : &found->second;
}

std::optional<Error> GgufFile::fault() const {
  for (const auto& file : files) {
    if (auto lost = file->fault()) return lost;
  }
  return std::nullopt;
}

bool looks_like_gguf(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
}

Expected<GgufFile> read_gguf(const std::filesystem::path& path) {
  GgufFile out;
  auto part = open_part(path, out);
  if (!part) return fail(part.error());
  if (const auto count = integer_of(part->metadata, "split.count"); count && *count > 1)
    return read_parts(path, *count);
  out.version = part->version;
  out.metadata = std::move(part->metadata);
  out.tensors = std::move(part->tensors);
  return out;
}

}  // namespace moescope
