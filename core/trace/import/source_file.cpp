#include "core/trace/import/source_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/io/json_text.h"
#include "core/io/npz.h"

namespace moescope {
namespace {

constexpr std::size_t sniffed_bytes = 65'536;
constexpr std::size_t sniffed_lines = 64;
constexpr std::size_t line_limit = 4096;

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// The length of a JSON header that lies inside the file, then its brace.
bool looks_like_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < 10) return false;
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  return size >= 2 && size <= safetensors_limit::header_bytes && bytes[8] == std::byte{'{'};
}

bool looks_like_text(std::span<const std::byte> bytes) {
  const auto head = bytes.first(std::min(bytes.size(), sniffed_bytes));
  return std::none_of(head.begin(), head.end(), [](std::byte b) {
    return b < std::byte{' '} && b != std::byte{'\n'} && b != std::byte{'\r'} && b != std::byte{'\t'};
  });
}

}  // namespace

const char* file_kind_name(FileKind kind) {
  switch (kind) {
    case FileKind::safetensors:
      return "a safetensors file";
    case FileKind::npy:
      return "a NumPy array";
    case FileKind::zip:
      return "a zip archive (.npz or .pt)";
    case FileKind::gguf:
      return "a GGUF file";
    case FileKind::json:
      return "a JSON file";
    case FileKind::json_lines:
      return "a file of JSON lines";
    case FileKind::text:
      return "a text file";
    case FileKind::binary:
      return "a binary file";
  }
  return "a file";
}

SourceFile::SourceFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}

Expected<std::shared_ptr<SourceFile>> SourceFile::open(const std::filesystem::path& path) {
  auto mapped = MappedFile::open(path);
  if (!mapped) return fail(mapped.error());
  if ((*mapped)->bytes().empty()) return fail(ErrorKind::input, "the file is empty", path.string(), "Copy it again");
  auto out = std::shared_ptr<SourceFile>(new SourceFile(std::move(*mapped)));
  out->sniff();
  return out;
}

void SourceFile::sniff() {
  if (looks_like_npy(bytes())) {
    kind_ = FileKind::npy;
  } else if (begins_with(bytes(), "PK\3\4") || begins_with(bytes(), "PK\5\6")) {
    kind_ = FileKind::zip;
  } else if (begins_with(bytes(), "GGUF")) {
    kind_ = FileKind::gguf;
  } else if (looks_like_safetensors(bytes())) {
    kind_ = FileKind::safetensors;
  } else if (looks_like_text(bytes())) {
    const std::string_view all = text();
    std::size_t at = all.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    const std::size_t first = all.find_first_not_of(" \t\r\n", at);
    const char opening = first == std::string_view::npos ? ' ' : all[first];
    kind_ = FileKind::text;
    if (opening == '{' || opening == '[') {
      // JSON lines: the first line is a whole value.
      const std::size_t end = std::min(all.find('\n', first), all.size());
      const bool one_line = all.find_first_not_of(" \t\r\n", end) == std::string_view::npos;
      std::string_view line = all.substr(first, end - first);
      while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
      const bool whole = line.size() > 1 && (opening == '{' ? line.back() == '}' : line.back() == ']');
      kind_ = whole && !one_line ? FileKind::json_lines : FileKind::json;
      if (whole && !one_line && !parse_json(line, place())) kind_ = FileKind::json;
    }
    while (at < all.size() && first_lines_.size() < sniffed_lines && at < sniffed_bytes * 16) {
      const std::size_t end = std::min(all.find('\n', at), all.size());
      std::string_view line = all.substr(at, std::min(end - at, line_limit));
      if (line.ends_with('\r')) line.remove_suffix(1);
      first_lines_.emplace_back(line);
      at = end + 1;
    }
  }
}

std::string_view SourceFile::first_line() const {
  const auto found = std::find_if(first_lines_.begin(), first_lines_.end(),
                                  [](const std::string& line) { return !line.empty() && line[0] != '#'; });
  return found == first_lines_.end() ? std::string_view{} : std::string_view(*found);
}

const Expected<SafetensorsFile>& SourceFile::safetensors() {
  if (!safetensors_) safetensors_ = read_safetensors(path(), Truncation::allowed);
  return *safetensors_;
}

const Expected<NpyArray>& SourceFile::npy() {
  if (!npy_) npy_ = read_npy(bytes(), file_, place());
  return *npy_;
}

const Expected<std::vector<NpyArray>>& SourceFile::npz() {
  if (!npz_) npz_ = read_npz(file_);
  return *npz_;
}

const Expected<TorchFile>& SourceFile::torch() {
  if (!torch_) torch_ = read_torch_file(path());
  return *torch_;
}

const Expected<GgufFile>& SourceFile::gguf() {
  if (!gguf_) gguf_ = read_gguf(path());
  return *gguf_;
}

const Expected<nlohmann::json>& SourceFile::json() {
  if (!json_) json_ = parse_json(text(), place());
  return *json_;
}

const Expected<nlohmann::json>& SourceFile::first_json() {
  if (kind_ != FileKind::json_lines) return json();
  if (!first_json_) {
    const std::string_view all = text();
    const std::size_t first = std::min(all.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), all.size());
    first_json_ = parse_json(all.substr(first, std::min(all.find('\n', first), all.size()) - first), place());
  }
  return *first_json_;
}

Expected<void> each_json_line(const SourceFile& file, std::string& note,
                              const std::function<Expected<void>(const nlohmann::json&, std::size_t)>& use) {
  std::string_view rest = file.text();
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::size_t read = 0;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto parsed = parse_json(text, fmt::format("{}, line {}", file.place(), line));
    if (!parsed && read == 0) return fail(parsed.error());
    if (!parsed) {
      note = fmt::format("Line {} of {} is broken or cut off; the {} before it were read.", line, file.name(), read);
      return {};
    }
    if (auto used = use(*parsed, line); !used) return used;
    ++read;
  }
  return {};
}

}  // namespace moescope
