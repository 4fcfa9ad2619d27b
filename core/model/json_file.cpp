#include "core/model/json_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace moescope {
namespace {

constexpr int max_depth = 100;

// Greatest nesting of brackets outside strings.
int nesting_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Expected<std::string> read_small_file(const std::filesystem::path& file, std::uint64_t max_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (error || !std::filesystem::exists(status)) {
    return fail(ErrorKind::input, "the file does not exist", file.string(), "Check the path");
  }
  if (!std::filesystem::is_regular_file(status)) {
    return fail(ErrorKind::input, "this is not a regular file", file.string(), "Check the path");
  }
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) return fail(ErrorKind::input, "the file's size cannot be read: " + error.message(), file.string());
  if (size > max_bytes) {
    return fail(ErrorKind::input, fmt::format("the file has {} bytes, more than the {} that are read", size, max_bytes),
                file.string(), "This is probably another kind of file");
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return fail(ErrorKind::input, "the file cannot be read", file.string(), "Check its permissions");
  }
  return text;
}

Expected<nlohmann::json> parse_json_text(std::string_view text, const std::filesystem::path& file) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return fail(ErrorKind::input, "the file is empty", file.string(), "Copy it again");
  }
  if (const int depth = nesting_of(text); depth > max_depth) {
    return fail(ErrorKind::input, fmt::format("the JSON nests {} deep, more than {}", depth, max_depth), file.string(),
                "Copy the file again");
  }
  try {
    auto json = nlohmann::json::parse(text);
    if (!json.is_structured()) {
      return fail(ErrorKind::input, "the file holds a single JSON value, not an object", file.string(),
                  "Copy the file again");
    }
    return json;
  } catch (const nlohmann::json::parse_error& e) {
    const std::size_t at = std::min<std::size_t>(e.byte > 0 ? e.byte - 1 : 0, text.size());
    const std::string_view before = text.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return fail(ErrorKind::input, "the file is not JSON",
                fmt::format("{}, line {}, column {}", file.string(), line, at - line_start + 1),
                "Correct it or copy it again");
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the file is not JSON: {}", e.what()), file.string(), "Copy it again");
  }
}

}  // namespace moescope
