#include "core/io/pickle_value.h"

#include <array>

namespace moescope {

const PickleValue* PickleValue::find(std::string_view key) const {
  const PickleDict* const entries = dict();
  if (entries == nullptr) return nullptr;
  for (const auto& [name, entry] : *entries) {
    if (const std::string* const written = name.text(); written != nullptr && *written == key) return &entry;
  }
  return nullptr;
}

const char* PickleValue::kind_name() const {
  constexpr std::array names{"None",  "a boolean", "an integer", "a number", "a text",
                             "bytes", "a list",    "a dict",     "a tensor"};
  static_assert(names.size() == std::variant_size_v<decltype(value)>);
  return names[value.index()];
}

}  // namespace moescope
