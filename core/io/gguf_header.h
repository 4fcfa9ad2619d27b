// Parses the header of one GGUF file, version 2 or 3, with bounded time and memory. Used by the reader only; any
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/gguf_value.h"
#include "core/io/mapped_file.h"
#include "core/io/tensor_view.h"

namespace moescope {

struct GgufPart {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::uint64_t data_offset = 0;  // of the first tensor byte in the file
  std::map<std::string, GgufValue> metadata;
  std::vector<TensorView> tensors;  // in the order of the file, which is that of their bytes
};

// Reads and checks everything but what other parts of a split model say. Errors (input) as read_gguf().
[[nodiscard]] Expected<GgufPart> read_gguf_part(const std::shared_ptr<const MappedFile>& file);

}  // namespace moescope
