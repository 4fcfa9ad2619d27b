// The values on an unpickler's stack, the closed table of objects that it knows, and what calling them makes. Used by
// the unpickler only; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/pickle_value.h"
#include "core/io/unpickler.h"

namespace moescope {

// A value while the pickle is read: a number, or an index into the arena. Containers can still grow, so they are not
// PickleValues yet.
struct PickleItem {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    real,     // bits of a double
    text,     // texts
    bytes,    // texts
    list,     // lists
    tuple,    // lists
    dict,     // lists, key and value in turn
    global,   // known_global()
    storage,  // storages
    tensor,   // tensors
    mark,
  };
  Kind kind = Kind::none;
  std::int64_t number = 0;

  [[nodiscard]] std::size_t index() const { return static_cast<std::size_t>(number); }
};

// One of the objects that a pickle may name.
struct PickleGlobal {
  enum class Role : std::uint8_t {
    tensor,        // torch._utils._rebuild_tensor_v2
    typed_tensor,  // torch._utils._rebuild_tensor_v3: the type is an argument
    parameter,     // torch._utils._rebuild_parameter
    ordered_dict,
    size,
    encode,  // _codecs.encode, as protocol 2 writes bytes
    storage,
    dtype,
  };
  const char* module;
  const char* name;
  Role role;
  std::optional<DType> type;  // of a storage or dtype; nothing for storages of bytes and types we do not have
};
// Index in the table; nothing for all other names.
[[nodiscard]] std::optional<std::size_t> find_global(std::string_view module, std::string_view name);
[[nodiscard]] const PickleGlobal& known_global(std::size_t index);

// A storage that the pickle referred to: its type, when the reference has one, and its bytes.
struct PickleStorageItem {
  std::optional<DType> type;
  std::string key;
  PickleStorage data;
};

struct PickleArena {
  std::vector<std::string> texts;
  std::vector<std::vector<PickleItem>> lists;
  std::vector<PickleStorageItem> storages;
  std::vector<std::shared_ptr<const StridedTensor>> tensors;

  std::size_t items = 0, text_bytes = 0;  // in all texts and lists, also those no longer in use

  PickleItem add_text(PickleItem::Kind kind, std::string text);
  PickleItem add_list(PickleItem::Kind kind, std::vector<PickleItem> items_of_it);
  [[nodiscard]] bool within_limits() const;
};

// Calls a known object with the arguments of a tuple. The error's text says what is wrong, without its place.
[[nodiscard]] Expected<PickleItem> call_global(PickleArena& arena, const PickleGlobal& global, PickleItem arguments);
// The storage of a persistent id: ("storage", class, key, location, number of elements).
[[nodiscard]] Expected<PickleItem> load_storage(PickleArena& arena, PickleItem id, const StorageSource& source);
// Turns what `root` reaches into values; checks depth, cycles, keys and the limits.
[[nodiscard]] Expected<PickleValue> finished_value(const PickleArena& arena, PickleItem root);

}  // namespace moescope
