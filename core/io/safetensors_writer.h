// Streaming writer of a safetensors file: declare every tensor, then hand over bytes in any order and in pieces.
// Called by the trace writer and by commands that make checkpoints. The file appears under its name only when whole.
// One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/output_file.h"
#include "core/io/tensor_view.h"

namespace moescope {

// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType type = DType::f32;
  std::vector<std::uint64_t> shape;
};

// How tensors come to lie on 64-byte boundaries. The format allows no holes between tensors.
enum class TensorAlignment {
  by_order,   // tensors of whole 64 bytes first, then by falling element size: every tensor is aligned to its element
  by_filler,  // tensors keep their order; U8 tensors named "pad.N" fill the gaps: every tensor is aligned to 64 bytes
};

class MOESCOPE_API SafetensorsWriter {
 public:
  // Lays the file out and writes the header. Errors: usage for a name twice, a size that overflows, text that is not
  // UTF-8; input when the file cannot be made.
  [[nodiscard]] static Expected<SafetensorsWriter> create(const std::filesystem::path& path,
                                                          std::vector<TensorSpec> tensors,
                                                          const std::map<std::string, std::string>& metadata,
                                                          TensorAlignment alignment = TensorAlignment::by_order);

  // Appends to a tensor.
  [[nodiscard]] Expected<void> write(const std::string& tensor, std::span<const std::byte> bytes);
  // Writes a piece of a tensor at a byte offset in it. Pieces of one tensor must not overlap, and a tensor is written
  // either by pieces or by appending.
  [[nodiscard]] Expected<void> write_at(const std::string& tensor, std::uint64_t offset,
                                        std::span<const std::byte> bytes);
  // Checks that every tensor got all its bytes, syncs and renames. Error (internal) naming the first that did not.
  [[nodiscard]] Expected<void> finish();

  [[nodiscard]] std::uint64_t file_size() const { return file_size_; }
  [[nodiscard]] std::filesystem::path part_path() const { return file_.part_path(); }

 private:
  struct Place {
    std::uint64_t begin = 0;  // in the file
    std::uint64_t size = 0;
    std::uint64_t written = 0;
  };
  explicit SafetensorsWriter(OutputFile file) : file_(std::move(file)) {}
  OutputFile file_;
  std::map<std::string, Place> places_;
  std::uint64_t file_size_ = 0;
};

}  // namespace moescope
