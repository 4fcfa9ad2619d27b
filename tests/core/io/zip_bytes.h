// Zip archives written by hand, with any field bent. Used by the tests of zip and torch files.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moescope::fixtures {

template <typename Number>
void put(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

inline std::uint32_t crc_of_text(std::string_view text) {
  return static_cast<std::uint32_t>(
      crc32(crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

// Raw deflate of a text.
inline std::string deflated(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ZipPart {
  std::string name, data;  // as packed
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::uint64_t size = 0;  // of the content
  std::uint32_t crc = 0;
  std::string local_name;  // when another one than `name`
  std::uint64_t header_at = 0;
  bool fixed_header = false;  // `header_at` was set by the test
  bool wide = false;          // sizes and place in zip64 extras
};

inline ZipPart stored_part(std::string name, std::string data) {
  ZipPart part;
  part.size = data.size();
  part.crc = crc_of_text(data);
  part.name = part.local_name = std::move(name);
  part.data = std::move(data);
  return part;
}

inline ZipPart deflated_part(std::string name, std::string_view data) {
  ZipPart part;
  part.name = part.local_name = std::move(name);
  part.data = deflated(data);
  part.method = 8;
  part.size = data.size();
  part.crc = crc_of_text(data);
  return part;
}

struct ZipEndFields {
  std::uint16_t disk = 0;
  int further_entries = 0;  // added to the count
  int further_size = 0;     // added to the directory's size
  std::string comment;
  bool wide = false;  // with a zip64 end
};

inline std::string zip_bytes(std::vector<ZipPart> parts, const ZipEndFields& end = {}) {
  std::string out;
  for (ZipPart& part : parts) {
    if (!part.fixed_header) part.header_at = out.size();
    put(out, std::uint32_t{0x04034b50});
    put(out, std::uint16_t{20});
    put(out, part.flags);
    put(out, part.method);
    put(out, std::uint32_t{0});
    put(out, part.crc);
    put(out, part.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(part.data.size()));
    put(out, part.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(part.size));
    put(out, static_cast<std::uint16_t>(part.local_name.size()));
    put(out, static_cast<std::uint16_t>(part.wide ? 20 : 0));
    out += part.local_name;
    if (part.wide) {
      put(out, std::uint16_t{1});
      put(out, std::uint16_t{16});
      put(out, part.size);
      put(out, std::uint64_t{part.data.size()});
    }
    out += part.data;
  }
  const std::size_t directory = out.size();
  for (const ZipPart& part : parts) {
    put(out, std::uint32_t{0x02014b50});
    put(out, std::uint32_t{20U | (20U << 16U)});
    put(out, part.flags);
    put(out, part.method);
    put(out, std::uint32_t{0});
    put(out, part.crc);
    put(out, part.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(part.data.size()));
    put(out, part.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(part.size));
    put(out, static_cast<std::uint16_t>(part.name.size()));
    put(out, static_cast<std::uint16_t>(part.wide ? 28 : 0));
    put(out, std::uint16_t{0});
    put(out, std::uint16_t{0});
    put(out, std::uint16_t{0});
    put(out, std::uint32_t{0});
    put(out, part.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(part.header_at));
    out += part.name;
    if (part.wide) {
      put(out, std::uint16_t{1});
      put(out, std::uint16_t{24});
      put(out, part.size);
      put(out, std::uint64_t{part.data.size()});
      put(out, part.header_at);
    }
  }
  const std::size_t size = out.size() - directory + static_cast<std::size_t>(end.further_size);
  const std::size_t count = parts.size() + static_cast<std::size_t>(end.further_entries);
  if (end.wide) {
    const std::uint64_t at = out.size();
    put(out, std::uint32_t{0x06064b50});
    put(out, std::uint64_t{44});
    put(out, std::uint32_t{45U | (45U << 16U)});
    put(out, std::uint64_t{0});
    put(out, std::uint64_t{count});
    put(out, std::uint64_t{count});
    put(out, std::uint64_t{size});
    put(out, std::uint64_t{directory});
    put(out, std::uint32_t{0x07064b50});
    put(out, std::uint32_t{0});
    put(out, at);
    put(out, std::uint32_t{1});
  }
  put(out, std::uint32_t{0x06054b50});
  put(out, end.disk);
  put(out, end.disk);
  put(out, static_cast<std::uint16_t>(end.wide ? 0xFFFF : count));
  put(out, static_cast<std::uint16_t>(end.wide ? 0xFFFF : count));
  put(out, end.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(size));
  put(out, end.wide ? 0xFFFFFFFFU : static_cast<std::uint32_t>(directory));
  put(out, static_cast<std::uint16_t>(end.comment.size()));
  return out + end.comment;
}

}  // namespace moescope::fixtures
