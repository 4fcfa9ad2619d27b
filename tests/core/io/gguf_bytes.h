// GGUF files written by hand, with any field bent. Used by the tests of GGUF files, checkpoints and vocabularies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moescope::fixtures {

class GgufBytes {
 public:
  static constexpr std::uint32_t u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, boolean = 7, text = 8,
                                 array = 9, u64 = 10, i64 = 11, f64 = 12;

  template <typename Number>
  static std::string raw(Number value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
  }
  static std::string raw_text(std::string_view value) { return raw(std::uint64_t{value.size()}) + std::string(value); }

  // A metadata entry with the bytes of its value as they stand.
  void entry(std::string_view key, std::uint32_t type, const std::string& value) {
    entries_ += raw_text(key) + raw(type) + value;
    ++entry_count;
  }
  void add(std::string_view key, std::uint32_t value) { entry(key, u32, raw(value)); }
  void add(std::string_view key, std::int32_t value) { entry(key, i32, raw(value)); }
  void add(std::string_view key, float value) { entry(key, f32, raw(value)); }
  void add(std::string_view key, bool value) { entry(key, boolean, raw(static_cast<std::uint8_t>(value ? 1 : 0))); }
  void add(std::string_view key, const char* value) { entry(key, text, raw_text(value)); }
  void add(std::string_view key, const std::vector<std::string>& values) {
    std::string all = raw(text) + raw(std::uint64_t{values.size()});
    for (const std::string& value : values) all += raw_text(value);
    entry(key, array, all);
  }
  template <typename Number>
  void add_numbers(std::string_view key, std::uint32_t type, const std::vector<Number>& values) {
    std::string all = raw(type) + raw(std::uint64_t{values.size()});
    for (const Number value : values) all += raw(value);
    entry(key, array, all);
  }

  // A tensor; its offset is where it comes to lie, unless given.
  void tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
              const std::string& bytes) {
    tensor_at(name, dims, type, bytes, data_.size());
  }
  void tensor_at(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                 const std::string& bytes, std::uint64_t offset) {
    tensors_ += raw_text(name) + raw(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t extent : dims) tensors_ += raw(extent);
    tensors_ += raw(type) + raw(offset);
    ++tensor_count;
    data_ += bytes;
    pad(data_);
  }

  [[nodiscard]] std::string bytes() const {
    std::string out = magic + raw(version) + raw(tensor_count) + raw(entry_count) + entries_ + tensors_;
    if (tensor_count == 0) return out;
    pad(out);
    return out + data_;
  }

  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0, entry_count = 0, alignment = 32;

 private:
  void pad(std::string& out) const { out.append((alignment - out.size() % alignment) % alignment, '\0'); }
  std::string entries_, tensors_, data_;
};

}  // namespace moescope::fixtures
