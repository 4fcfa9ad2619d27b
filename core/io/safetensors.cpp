#include "core/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "core/base/hash.h"
#include "core/io/safetensors_header.h"

namespace moescope {
namespace {

static_assert(std::endian::native == std::endian::little, "mapped tensors are little-endian");

constexpr std::uint64_t length_bytes = 8;
constexpr const char* copy_again = "Copy or download the file again";

// Every entry follows the one before it, the first starts at 0, and each is as long as its type and shape say.
Expected<void> check_layout(const std::vector<SafetensorsEntry>& sorted, const std::string& file) {
  std::uint64_t expected_begin = 0;
  for (const SafetensorsEntry& entry : sorted) {
    const std::string where = fmt::format("{}, tensor '{}'", file, entry.name);
    if (entry.begin != expected_begin || entry.end < entry.begin) {
      return fail(ErrorKind::input,
                  fmt::format("invalid offset: the tensor lies at [{}, {}) where it must begin at {}", entry.begin,
                              entry.end, expected_begin),
                  where, copy_again);
    }
    const auto size = byte_size(entry.type, entry.shape);
    if (!size) {
      return fail(ErrorKind::input, "the size that follows from the tensor's type and shape is not a number of bytes",
                  where, copy_again);
    }
    if (*size != entry.end - entry.begin) {
      return fail(ErrorKind::input,
                  fmt::format("invalid info: the tensor has {} bytes where its type and shape need {}",
                              entry.end - entry.begin, *size),
                  where, copy_again);
    }
    expected_begin = entry.end;
  }
  return {};
}

}  // namespace

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto at = std::lower_bound(by_name.begin(), by_name.end(), name,
                                   [&](std::uint32_t i, std::string_view wanted) { return tensors[i].name < wanted; });
  return at != by_name.end() && tensors[*at].name == name ? &tensors[*at] : nullptr;
}

Expected<SafetensorsFile> read_safetensors(const std::filesystem::path& path, Truncation truncation) {
  auto mapped = MappedFile::open(path);
  if (!mapped) return fail(mapped.error());
  const std::string file = path.string();
  const auto bytes = (*mapped)->bytes();
  if (bytes.size() < length_bytes) {
    return fail(ErrorKind::input,
                fmt::format("header too small: the file has {} bytes, a safetensors file at least 8", bytes.size()),
                file, copy_again);
  }
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), length_bytes);
  if (header_size > safetensors_limit::header_bytes) {
    return fail(ErrorKind::input,
                fmt::format("header too large: {} bytes where at most {} are allowed", header_size,
                            safetensors_limit::header_bytes),
                file + ", byte 0", "Check that this is a safetensors file");
  }
  if (header_size > bytes.size() - length_bytes) {
    return fail(ErrorKind::input,
                fmt::format("invalid header length: {} bytes in a file of {}", header_size, bytes.size()),
                file + ", byte 0", copy_again);
  }
  const auto header_bytes = bytes.subspan(length_bytes, static_cast<std::size_t>(header_size));
  auto header = parse_safetensors_header(
      std::string_view(reinterpret_cast<const char*>(header_bytes.data()), header_bytes.size()), file);
  if (!header) return fail(header.error());

  std::vector<SafetensorsEntry>& entries = header->entries;
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end < b.end : a.name < b.name;
  });
  SafetensorsFile out;
  out.by_name.resize(entries.size());
  std::iota(out.by_name.begin(), out.by_name.end(), 0U);
  std::sort(out.by_name.begin(), out.by_name.end(),
            [&](std::uint32_t a, std::uint32_t b) { return entries[a].name < entries[b].name; });
  const auto twice = std::adjacent_find(out.by_name.begin(), out.by_name.end(), [&](std::uint32_t a, std::uint32_t b) {
    return entries[a].name == entries[b].name;
  });
  if (twice != out.by_name.end()) {
    return fail(ErrorKind::input, "the header names a tensor twice",
                fmt::format("{}, tensor '{}'", file, entries[*twice].name), copy_again);
  }
  if (auto layout = check_layout(entries, file); !layout) return fail(layout.error());

  const std::uint64_t available = bytes.size() - length_bytes - header_size;
  const std::uint64_t needed = entries.empty() ? 0 : entries.back().end;
  if (needed < available || (needed > available && truncation == Truncation::refused)) {
    return fail(ErrorKind::input,
                fmt::format("incomplete metadata: the header describes {} bytes of tensors, the file has {}", needed,
                            available),
                file, needed > available ? "The file was cut off; copy or download it again" : copy_again);
  }

  out.file = *mapped;
  out.data_offset = length_bytes + header_size;
  out.missing_bytes = needed - available;
  out.header_hash = hash_hex(header_bytes);
  out.metadata = std::move(header->metadata);
  out.tensors.reserve(entries.size());
  for (SafetensorsEntry& entry : entries) {
    const std::uint64_t begin = std::min(entry.begin, available);
    const std::uint64_t end = std::min(entry.end, available);
    TensorView view;
    view.name = std::move(entry.name);
    view.type = entry.type;
    view.shape = std::move(entry.shape);
    view.bytes =
        bytes.subspan(static_cast<std::size_t>(out.data_offset + begin), static_cast<std::size_t>(end - begin));
    view.owner = *mapped;
    view.file = file;
    view.file_offset = out.data_offset + entry.begin;
    out.tensors.push_back(std::move(view));
  }
  // The header may have been read as zeros if the file shrank just now.
  if (auto lost = out.fault()) return fail(*lost);
  return out;
}

}  // namespace moescope
