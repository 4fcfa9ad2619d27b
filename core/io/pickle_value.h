// PickleValue: what a restricted read of a Python pickle gives: plain data and tensors, nothing that could run. Made by
// unpickle(); read by importers and checkpoints. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/export.h"
#include "core/io/strided_tensor.h"

namespace moescope {

struct PickleValue;
using PickleList = std::vector<PickleValue>;                          // lists and tuples
using PickleDict = std::vector<std::pair<PickleValue, PickleValue>>;  // in the order of the file; no key twice

struct PickleBytes {
  std::string bytes;
};

// One value. Containers are shared where the file shares them; they nest at most pickle_limit::depth deep and form no
// cycle, so plain recursion over them is safe.
struct PickleValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, PickleBytes, std::shared_ptr<const PickleList>,
               std::shared_ptr<const PickleDict>, std::shared_ptr<const StridedTensor>>
      value;  // text is UTF-8; a dtype object is its name as text ("torch.float32")

  [[nodiscard]] bool none() const { return std::holds_alternative<std::monostate>(value); }
  // Null when the value is of another kind. Integers are not given as real numbers.
  [[nodiscard]] const bool* boolean() const { return std::get_if<bool>(&value); }
  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&value); }
  [[nodiscard]] const double* real() const { return std::get_if<double>(&value); }
  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  [[nodiscard]] const std::string* bytes() const {
    const auto* held = std::get_if<PickleBytes>(&value);
    return held == nullptr ? nullptr : &held->bytes;
  }
  [[nodiscard]] const PickleList* list() const { return held<PickleList>(); }
  [[nodiscard]] const PickleDict* dict() const { return held<PickleDict>(); }
  [[nodiscard]] const StridedTensor* tensor() const { return held<StridedTensor>(); }

  // The value of a text key of a dict; null when this is no dict or has no such key.
  [[nodiscard]] MOESCOPE_API const PickleValue* find(std::string_view key) const;
  // "a list", "a tensor", … for error messages.
  [[nodiscard]] MOESCOPE_API const char* kind_name() const;

 private:
  template <typename Held>
  [[nodiscard]] const Held* held() const {
    const auto* pointer = std::get_if<std::shared_ptr<const Held>>(&value);
    return pointer == nullptr ? nullptr : pointer->get();
  }
};

}  // namespace moescope
