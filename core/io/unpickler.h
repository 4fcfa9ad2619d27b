// Reads a Python pickle (protocols 2 to 5) as plain data, without running anything: the few objects that torch.save
// writes are known by name and made here; any other is refused by its name. Called by the reader of torch files. Pure
// function: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/pickle_value.h"

namespace moescope {

// Limits on what one pickle may ask of us. Real files are far below them.
namespace pickle_limit {
inline constexpr std::size_t bytes = std::size_t{512} << 20U;
inline constexpr std::size_t values = 20'000'000;  // in all, counted again where they are shared
inline constexpr std::size_t containers = 4'000'000;
inline constexpr std::size_t text_bytes = std::size_t{1} << 30U;  // of texts, counted again where they are shared
inline constexpr std::size_t depth = 64;                          // of containers in containers
inline constexpr std::size_t dimensions = 64;                     // of a tensor
}  // namespace pickle_limit

// The bytes of one tensor storage and where they lie.
struct PickleStorage {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  std::string file;
  std::uint64_t file_offset = 0;
};
// Gives the storage of a key, which holds at least `bytes` bytes, or says why not.
using StorageSource = std::function<Expected<PickleStorage>(const std::string& key, std::uint64_t bytes)>;

// Reads one pickle that ends with the last of `pickle`. `where` names it in errors. Errors (input): an object that is
// not plain data, by its name; an opcode of another kind; a broken or cut off pickle, with the byte; a tensor outside
// its storage; a limit passed; a container that holds itself.
[[nodiscard]] MOESCOPE_API Expected<PickleValue> unpickle(std::span<const std::byte> pickle, const std::string& where,
                                                          const StorageSource& storages);

}  // namespace moescope
