#include "core/io/zip_directory.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/io/byte_reader.h"

// Layout: PKWARE's APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (directory entry), 4.3.14 to 4.3.16 (ends) and
// 4.5.3 (zip64 sizes).
namespace moescope {
namespace {

constexpr std::uint32_t local_signature = 0x04034b50;
constexpr std::uint32_t entry_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::size_t entry_size = 46, end_size = 22, locator64_size = 20, longest_comment = 65535;
constexpr std::uint16_t encrypted_flags = 0x2041;    // encrypted, strongly encrypted, directory masked
constexpr std::uint16_t sizes_follow_flag = 0x0008;  // the sizes come after the data
constexpr std::uint32_t in_zip64 = 0xFFFFFFFF;
constexpr std::uint16_t zip64_extra = 0x0001;
constexpr std::uint64_t best_ratio = 1032;  // of deflate
constexpr const char* copy_zip_again = "Copy or download the file again";

struct Reader {
  std::string file;
  std::span<const std::byte> bytes;

  [[nodiscard]] Unexpected problem(std::string what, std::uint64_t at) const {
    return fail(ErrorKind::input, "the zip archive is broken: " + std::move(what), fmt::format("{}, byte {}", file, at),
                copy_zip_again);
  }
  [[nodiscard]] Unexpected problem(std::string what, const std::string& name) const {
    return fail(ErrorKind::input, "the zip archive is broken: " + std::move(what),
                fmt::format("{}, entry '{}'", file, name), copy_zip_again);
  }
};

// What the end of the archive says of its directory.
struct End {
  std::uint64_t entries = 0, size = 0, offset = 0;
  std::uint64_t at = 0;  // where the end records begin
};

// The four fields that a zip64 extra replaces, each only when it is all ones.
struct Sizes {
  std::uint64_t size = 0, packed = 0, offset = 0;
  bool offset_wanted = false;
};

// Finds the zip64 extra and reads from it the fields that say "see there". False when it is missing or short.
bool read_zip64(std::span<const std::byte> extra, Sizes& sizes) {
  const bool want_size = sizes.size == in_zip64, want_packed = sizes.packed == in_zip64;
  const bool want_offset = sizes.offset_wanted && sizes.offset == in_zip64;
  if (!want_size && !want_packed && !want_offset) return true;
  ByteReader reader(extra);
  while (const auto kind = reader.read<std::uint16_t>()) {
    const auto length = reader.read<std::uint16_t>();
    const auto body = length ? reader.take(*length) : std::nullopt;
    if (!body) return false;
    if (*kind != zip64_extra) continue;
    ByteReader fields(*body);
    const auto replace = [&](bool wanted, std::uint64_t& to) {
      if (!wanted) return true;
      const auto value = fields.read<std::uint64_t>();
      if (value) to = *value;
      return value.has_value();
    };
    return replace(want_size, sizes.size) && replace(want_packed, sizes.packed) && replace(want_offset, sizes.offset);
  }
  return false;
}

std::optional<std::size_t> find_end(std::span<const std::byte> bytes) {
  if (bytes.size() < end_size) return std::nullopt;
  const std::size_t last = bytes.size() - end_size;
  const std::size_t first = last > longest_comment ? last - longest_comment : 0;
  for (std::size_t at = last + 1; at-- > first;) {
    ByteReader reader(bytes, at);
    if (reader.read<std::uint32_t>() != end_signature) continue;
    ByteReader comment(bytes, at + end_size - 2);
    if (comment.read<std::uint16_t>() == last - at) return at;
  }
  return std::nullopt;
}

Expected<End> read_end64(const Reader& in, std::size_t locator_at) {
  ByteReader locator(in.bytes, locator_at + 4);
  const auto disk = locator.read<std::uint32_t>();
  const std::uint64_t at = *locator.read<std::uint64_t>();
  const auto disks = locator.read<std::uint32_t>();
  if (disk != 0U || *disks > 1) return in.problem("it spans several disks", locator_at);
  if (at > locator_at || locator_at - at < 56) return in.problem("its zip64 end lies elsewhere", locator_at);
  ByteReader reader(in.bytes, static_cast<std::size_t>(at));
  if (*reader.read<std::uint32_t>() != end64_signature) return in.problem("its zip64 end is not there", at);
  const std::uint64_t size = *reader.read<std::uint64_t>();
  if (size != locator_at - at - 12) return in.problem("its zip64 end has a wrong size", at);
  reader = ByteReader(in.bytes, static_cast<std::size_t>(at) + 16);
  const auto this_disk = reader.read<std::uint32_t>();
  const auto directory_disk = reader.read<std::uint32_t>();
  const auto here = reader.read<std::uint64_t>();
  End end;
  end.entries = *reader.read<std::uint64_t>();
  end.size = *reader.read<std::uint64_t>();
  end.offset = *reader.read<std::uint64_t>();
  end.at = at;
  if (*this_disk != 0 || *directory_disk != 0 || *here != end.entries) {
    return in.problem("it spans several disks", at);
  }
  return end;
}

Expected<End> read_end(const Reader& in) {
  const auto at = find_end(in.bytes);
  if (!at) {
    return fail(ErrorKind::input, "the end of a zip archive was not found", in.file,
                "The file was cut off or is not a zip archive; copy or download it again");
  }
  ByteReader reader(in.bytes, *at + 4);
  const auto disk = reader.read<std::uint16_t>();
  const auto directory_disk = reader.read<std::uint16_t>();
  const auto here = reader.read<std::uint16_t>();
  End end;
  end.entries = *reader.read<std::uint16_t>();
  end.size = *reader.read<std::uint32_t>();
  end.offset = *reader.read<std::uint32_t>();
  end.at = *at;
  if (*at >= locator64_size) {
    const std::size_t locator_at = *at - locator64_size;
    ByteReader locator(in.bytes, locator_at);
    if (locator.read<std::uint32_t>() == locator64_signature) {
      auto wide = read_end64(in, locator_at);
      if (!wide) return wide;
      // The narrow fields either agree or point to the wide ones.
      const auto agrees = [](std::uint64_t narrow, std::uint64_t ones, std::uint64_t value) {
        return narrow == ones || narrow == value;
      };
      if (!agrees(end.entries, 0xFFFF, wide->entries) || !agrees(end.size, in_zip64, wide->size) ||
          !agrees(end.offset, in_zip64, wide->offset)) {
        return in.problem("its two ends disagree", *at);
      }
      return wide;
    }
  }
  if (*disk != 0 || *directory_disk != 0 || *here != end.entries) return in.problem("it spans several disks", *at);
  return end;
}

// Checks the local header against the directory and finds where the data lies.
Expected<std::uint64_t> data_offset(const Reader& in, const ZipEntry& entry, std::uint64_t header,
                                    std::uint64_t directory, std::uint16_t method) {
  if (header > directory || directory - header < 30) return in.problem("its header lies outside the file", entry.name);
  ByteReader reader(in.bytes.first(static_cast<std::size_t>(directory)), static_cast<std::size_t>(header));
  if (*reader.read<std::uint32_t>() != local_signature) return in.problem("its header is not there", entry.name);
  [[maybe_unused]] const auto version = reader.read<std::uint16_t>();
  const std::uint16_t flags = *reader.read<std::uint16_t>();
  const std::uint16_t local_method = *reader.read<std::uint16_t>();
  [[maybe_unused]] const auto when = reader.read<std::uint32_t>();
  const std::uint32_t crc = *reader.read<std::uint32_t>();
  Sizes sizes;
  sizes.packed = *reader.read<std::uint32_t>();
  sizes.size = *reader.read<std::uint32_t>();
  const auto name_length = reader.read<std::uint16_t>();
  const auto extra_length = reader.read<std::uint16_t>();
  const auto name = reader.take_text(*name_length);
  const auto extra = reader.take(*extra_length);
  if (!name || !extra) return in.problem("its header is cut off", entry.name);
  if (*name != entry.name || local_method != method || (flags & encrypted_flags) != 0) {
    return in.problem("its header tells otherwise than the directory", entry.name);
  }
  if (!read_zip64(*extra, sizes)) return in.problem("its header has no zip64 sizes", entry.name);
  const bool unknown = (flags & sizes_follow_flag) != 0 && sizes.size == 0 && sizes.packed == 0;
  if (!unknown && (sizes.size != entry.size || sizes.packed != entry.packed || (crc != entry.crc && crc != 0))) {
    return in.problem("its header tells otherwise than the directory", entry.name);
  }
  if (entry.packed > reader.remaining()) return in.problem("its data lies outside the file", entry.name);
  return reader.position();
}

struct Placed {
  std::uint64_t begin = 0, end = 0;  // header and data
  std::size_t entry = 0;
};

Expected<void> read_entry(const Reader& in, ByteReader& reader, const End& end, ZipDirectory& out,
                          std::vector<Placed>& places) {
  const std::uint64_t at = reader.position();
  if (reader.remaining() < entry_size) return in.problem("its directory is cut off", at);
  if (*reader.read<std::uint32_t>() != entry_signature) return in.problem("its directory has a wrong entry", at);
  [[maybe_unused]] const auto versions = reader.read<std::uint32_t>();
  const std::uint16_t flags = *reader.read<std::uint16_t>();
  const std::uint16_t method = *reader.read<std::uint16_t>();
  [[maybe_unused]] const auto when = reader.read<std::uint32_t>();
  ZipEntry entry;
  entry.crc = *reader.read<std::uint32_t>();
  Sizes sizes;
  sizes.packed = *reader.read<std::uint32_t>();
  sizes.size = *reader.read<std::uint32_t>();
  const auto name_length = reader.read<std::uint16_t>();
  const auto extra_length = reader.read<std::uint16_t>();
  const auto comment_length = reader.read<std::uint16_t>();
  const auto disk = reader.read<std::uint16_t>();
  [[maybe_unused]] const auto internal = reader.read<std::uint16_t>();
  [[maybe_unused]] const auto external = reader.read<std::uint32_t>();
  sizes.offset = *reader.read<std::uint32_t>();
  sizes.offset_wanted = true;
  const auto name = reader.take_text(*name_length);
  const auto extra = reader.take(*extra_length);
  const auto comment = reader.take(*comment_length);
  if (!name || !extra || !comment) return in.problem("its directory is cut off", at);
  entry.name = *name;
  if (*disk != 0 && *disk != 0xFFFF) return in.problem("it spans several disks", entry.name);
  if (!read_zip64(*extra, sizes)) return in.problem("its zip64 sizes are missing", entry.name);
  entry.size = sizes.size;
  entry.packed = sizes.packed;
  if ((flags & encrypted_flags) != 0) {
    return fail(ErrorKind::input, "the zip entry is encrypted", fmt::format("{}, entry '{}'", in.file, entry.name),
                "Write the archive without a password");
  }
  if (method != 0 && method != Z_DEFLATED) {
    return fail(ErrorKind::input, fmt::format("the zip entry is packed with method {}, which is not read", method),
                fmt::format("{}, entry '{}'", in.file, entry.name), "Write the archive stored or deflated");
  }
  entry.deflated = method == Z_DEFLATED;
  if (!entry.deflated && entry.size != entry.packed) {
    return in.problem("a stored entry has two sizes", entry.name);
  }
  const auto offset = data_offset(in, entry, sizes.offset, end.offset, method);
  if (!offset) return fail(offset.error());
  entry.offset = *offset;
  places.push_back({sizes.offset, entry.offset + entry.packed, out.entries.size()});
  out.entries.push_back(std::move(entry));
  return {};
}

struct InflateEnd {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

// Inflates just `out.size()` bytes; false when the data is anything else.
bool inflate_all(std::span<const std::byte> packed, std::span<std::byte> out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  const std::unique_ptr<z_stream, InflateEnd> ended(&stream);
  constexpr std::size_t most = std::size_t{1} << 30U;  // the counters have 32 bits
  std::byte spare{};                                   // an output pointer must not be null
  std::size_t taken = 0, made = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    const std::size_t feed = std::min(packed.size() - taken, most), room = std::min(out.size() - made, most);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + taken));
    stream.avail_in = static_cast<uInt>(feed);
    stream.next_out = reinterpret_cast<Bytef*>(room == 0 ? &spare : out.data() + made);
    stream.avail_out = static_cast<uInt>(room);
    state = inflate(&stream, Z_NO_FLUSH);
    taken += feed - stream.avail_in;
    made += room - stream.avail_out;
  }
  return state == Z_STREAM_END && taken == packed.size() && made == out.size();
}

std::uint32_t crc_of(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(crc32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto at = std::lower_bound(entries.begin(), entries.end(), name,
                                   [](const ZipEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

Expected<ZipBytes> ZipDirectory::read(const ZipEntry& entry, std::uint64_t limit) const {
  const auto packed =
      file->bytes().subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.packed));
  if (!entry.deflated) return ZipBytes{packed, file};
  const std::string where = fmt::format("{}, entry '{}'", file->path().string(), entry.name);
  if (entry.size > limit || entry.size / best_ratio > entry.packed) {
    return fail(
        ErrorKind::input,
        fmt::format("the zip entry says that its {} bytes become {}, more than can be read", entry.packed, entry.size),
        where, "Write the archive without compression");
  }
  const auto buffer = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(entry.size));
  if (!inflate_all(packed, *buffer) || crc_of(*buffer) != entry.crc) {
    return fail(ErrorKind::input, "the zip entry does not unpack to what the directory says", where, copy_zip_again);
  }
  return ZipBytes{*buffer, buffer};
}

bool looks_like_zip(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto signature = reader.read<std::uint32_t>();
  return signature == local_signature || signature == end_signature;
}

Expected<ZipDirectory> read_zip_directory(std::shared_ptr<const MappedFile> file) {
  const Reader in{file->path().string(), file->bytes()};
  const auto end = read_end(in);
  if (!end) return fail(end.error());
  if (end->offset > end->at || end->size != end->at - end->offset) {
    return in.problem("its directory does not end where the end of the archive begins", end->at);
  }
  if (end->entries > zip_limit::entries) {
    return fail(ErrorKind::input,
                fmt::format("the zip archive has {} entries, more than {}", end->entries, zip_limit::entries), in.file,
                "Check that this is the right file");
  }
  if (end->entries > end->size / entry_size) return in.problem("its directory is too short", end->offset);
  ZipDirectory out;
  std::vector<Placed> places;
  out.entries.reserve(static_cast<std::size_t>(end->entries));
  places.reserve(static_cast<std::size_t>(end->entries));
  ByteReader reader(in.bytes.first(static_cast<std::size_t>(end->at)), static_cast<std::size_t>(end->offset));
  for (std::uint64_t i = 0; i < end->entries; ++i) {
    if (auto read = read_entry(in, reader, *end, out, places); !read) return fail(read.error());
  }
  if (reader.remaining() != 0) return in.problem("its directory has further bytes", reader.position());
  std::sort(places.begin(), places.end(), [](const Placed& a, const Placed& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (places[i].begin < places[i - 1].end) {
      return in.problem("it lies over another entry", out.entries[places[i].entry].name);
    }
  }
  std::sort(out.entries.begin(), out.entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(out.entries.begin(), out.entries.end(),
                                        [](const ZipEntry& a, const ZipEntry& b) { return a.name == b.name; });
  if (twice != out.entries.end()) return in.problem("it is there twice", twice->name);
  out.file = std::move(file);
  if (auto lost = out.file->fault()) return fail(*lost);
  return out;
}

Expected<ZipDirectory> read_zip_directory(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return fail(file.error());
  return read_zip_directory(std::move(*file));
}

}  // namespace moescope
