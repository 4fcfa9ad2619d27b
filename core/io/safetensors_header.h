// Parses the JSON header of a safetensors file with bounded time and memory. Used by the reader only; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_view.h"

namespace moescope {

// One entry as the header states it; offsets count from the first data byte and are not checked yet.
struct SafetensorsEntry {
  std::string name;
  DType type = DType::u8;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

// `file` names the file in errors. Errors (input): not JSON, not the structure, a limit passed. Duplicate tensor names
// are left to the caller, who sorts anyway.
[[nodiscard]] Expected<SafetensorsHeader> parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace moescope
