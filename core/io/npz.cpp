#include "core/io/npz.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "core/io/zip_directory.h"

namespace moescope {
namespace {

constexpr std::uint64_t archive_limit = 0xFFFFFFFF;  // of a zip archive without its 64-bit extension
constexpr std::size_t crc_at = 14;                   // in the header of an entry

template <typename Number>
void append(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint32_t crc_of(std::uint32_t crc, std::span<const std::byte> bytes) {
  constexpr std::size_t most = std::size_t{1} << 30U;  // zlib counts in 32 bits
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(most, bytes.size()));
    crc = static_cast<std::uint32_t>(
        crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size())));
    bytes = bytes.subspan(piece.size());
  }
  return crc;
}

// What the headers in the file and in the directory have in common: version, flags, method, time, checksum, sizes.
std::string common_fields(std::uint32_t crc, std::uint64_t size) {
  std::string out;
  append(out, std::uint16_t{20});
  append(out, std::uint32_t{0});
  append(out, std::uint16_t{0});
  append(out, std::uint16_t{0x21});  // 1 January 1980
  append(out, crc);
  append(out, static_cast<std::uint32_t>(size));
  append(out, static_cast<std::uint32_t>(size));
  return out;
}

}  // namespace

Expected<std::vector<NpyArray>> read_npz(const std::shared_ptr<const MappedFile>& file) {
  const auto zip = read_zip_directory(file);
  if (!zip) return fail(zip.error());
  constexpr std::string_view suffix = ".npy";
  std::vector<NpyArray> out;
  for (const ZipEntry& entry : zip->entries) {
    if (!entry.name.ends_with(suffix)) continue;
    auto content = zip->read(entry, npz_limit::packed_array_bytes);
    if (!content) return fail(content.error());
    auto array = read_npy(content->bytes, content->owner, file->path().string() + ", " + entry.name);
    if (!array) return fail(array.error());
    array->tensor.name = entry.name.substr(0, entry.name.size() - suffix.size());
    out.push_back(std::move(*array));
  }
  if (out.empty()) {
    return fail(ErrorKind::input, "the archive holds no NumPy arrays", file->path().string(),
                "Save it with numpy.savez");
  }
  return out;
}

Expected<NpzWriter> NpzWriter::create(const std::filesystem::path& path) {
  auto file = OutputFile::create(path);
  if (!file) return fail(file.error());
  return NpzWriter(std::move(*file));
}

Expected<void> NpzWriter::put(std::string_view bytes) {
  auto written = file_.write_at(at_, std::as_bytes(std::span(bytes.data(), bytes.size())));
  at_ += bytes.size();
  return written;
}

Expected<void> NpzWriter::begin(const std::string& name, DType type, std::span<const std::uint64_t> shape) {
  if (auto ended = end_entry(); !ended) return ended;
  const std::string header = npy_header(type, shape);
  const auto size = byte_size(type, shape);
  if (!size || *size + header.size() + at_ + 4096 > archive_limit) {
    return fail(ErrorKind::input, "the arrays need more than the 4 GiB of a zip archive", file_.path().string(),
                "Export fewer tokens, or keep MoEScope's own file, which safetensors reads in Python");
  }
  Entry entry{name + ".npy", at_, header.size() + *size, 0, 0};
  std::string local("PK\3\4");
  local += common_fields(0, entry.size);
  append(local, static_cast<std::uint16_t>(entry.name.size()));
  append(local, std::uint16_t{0});
  local += entry.name;
  entries_.push_back(std::move(entry));
  if (auto ok = put(local); !ok) return ok;
  return write(std::as_bytes(std::span(header.data(), header.size())));
}

Expected<void> NpzWriter::write(std::span<const std::byte> bytes) {
  Entry& entry = entries_.back();
  entry.crc = crc_of(entry.crc, bytes);
  entry.written += bytes.size();
  auto written = file_.write_at(at_, bytes);
  at_ += bytes.size();
  return written;
}

// The checksum is known only now.
Expected<void> NpzWriter::end_entry() {
  if (entries_.empty()) return {};
  const Entry& entry = entries_.back();
  if (entry.written != entry.size) {
    return fail(ErrorKind::internal, fmt::format("'{}' got {} of {} bytes", entry.name, entry.written, entry.size),
                file_.path().string(), "Please report this defect");
  }
  return file_.write_at(entry.offset + crc_at, std::as_bytes(std::span(&entry.crc, 1)));
}

Expected<void> NpzWriter::finish() {
  if (auto ended = end_entry(); !ended) return ended;
  const std::uint64_t begin = at_;
  std::string directory;
  for (const Entry& entry : entries_) {
    directory += "PK\1\2";
    append(directory, std::uint16_t{20});
    directory += common_fields(entry.crc, entry.size);
    append(directory, static_cast<std::uint16_t>(entry.name.size()));
    directory.append(12, '\0');  // no extra field, no comment, disk 0, no attributes
    append(directory, static_cast<std::uint32_t>(entry.offset));
    directory += entry.name;
  }
  const auto size = static_cast<std::uint32_t>(directory.size());
  directory += "PK\5\6";
  append(directory, std::uint32_t{0});
  append(directory, static_cast<std::uint16_t>(entries_.size()));
  append(directory, static_cast<std::uint16_t>(entries_.size()));
  append(directory, size);
  append(directory, static_cast<std::uint32_t>(begin));
  append(directory, std::uint16_t{0});
  if (auto ok = put(directory); !ok) return ok;
  return file_.commit();
}

}  // namespace moescope
