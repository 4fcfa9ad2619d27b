// Torch files made by hand: values as pickles, with their tensors beside them in the zip archive.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/io/zip_bytes.h"

namespace moescope::fixtures {

class TorchBytes {
 public:
  using Item = std::string;  // a pickled value

  static Item none() { return "N"; }
  static Item number(std::int32_t value) { return "J" + raw(value); }
  static Item text(const std::string& value) { return "X" + raw(static_cast<std::uint32_t>(value.size())) + value; }
  static Item list(const std::vector<Item>& items) { return "](" + joined(items) + "e"; }
  static Item dict(const std::vector<std::pair<Item, Item>>& items) {
    std::string out = "}(";
    for (const auto& [key, value] : items) out += key + value;
    return out + "u";
  }
  // `storage` is torch's name of the type: "LongStorage", "IntStorage", "FloatStorage", "BFloat16Storage".
  template <typename T>
  Item tensor(const std::string& storage, const std::vector<std::int32_t>& shape, const std::vector<T>& values) {
    const std::string key = std::to_string(storages_.size());
    std::vector<std::int32_t> strides(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    storages_.emplace_back(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + storage + "\n" + text(key) +
           text("cpu") + number(static_cast<std::int32_t>(values.size())) + "tQ" + number(0) + tuple(shape) +
           tuple(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
  }
  [[nodiscard]] std::string file(const Item& root) const {
    std::vector<ZipPart> parts{stored_part("archive/data.pkl", std::string("\x80\x02") + root + ".")};
    for (std::size_t i = 0; i < storages_.size(); ++i) {
      parts.push_back(stored_part("archive/data/" + std::to_string(i), storages_[i]));
    }
    parts.push_back(stored_part("archive/version", "3\n"));
    return zip_bytes(parts);
  }

 private:
  template <typename T>
  static std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
  }
  static std::string joined(const std::vector<Item>& items) {
    std::string out;
    for (const Item& item : items) out += item;
    return out;
  }
  static std::string tuple(const std::vector<std::int32_t>& numbers) {
    std::string out = "(";
    for (const std::int32_t n : numbers) out += number(n);
    return out + "t";
  }
  std::vector<std::string> storages_;
};

}  // namespace moescope::fixtures
