#include "core/io/unpickler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/base/utf8.h"
#include "core/io/byte_reader.h"
#include "core/io/pickle_objects.h"
#include "core/io/pickle_opcodes.h"

namespace moescope {
namespace {

using Kind = PickleItem::Kind;

constexpr int newest_protocol = 5;
constexpr std::size_t longest_name = 512;

// The stack machine of a pickle, on plain data. Containers are indices, so nothing here recurses.
class Machine {
 public:
  Machine(std::span<const std::byte> pickle, const std::string& where, const StorageSource& storages)
      : in_(pickle), where_(where), storages_(storages) {}

  Expected<PickleValue> run() {
    while (true) {
      at_ = in_.position();
      const auto opcode = in_.read<std::uint8_t>();
      if (!opcode) return cut_off();
      if (*opcode == op_stop) break;
      if (auto done = step(*opcode); !done) return fail(done.error());
      if (!arena_.within_limits() || stack_.size() > pickle_limit::values || memo_.size() > pickle_limit::values) {
        return problem("the pickle asks for more values than can be read");
      }
    }
    if (stack_.size() != 1 || !marks_.empty()) return problem("the pickle ends with other than one value");
    if (in_.remaining() != 0) return problem("there are further bytes after the end of the pickle");
    auto value = finished_value(arena_, stack_.back());
    if (!value) return placed(std::move(value.error()));
    return value;
  }

 private:
  ByteReader in_;
  const std::string& where_;
  const StorageSource& storages_;
  std::size_t at_ = 0;  // of the opcode
  PickleArena arena_;
  std::vector<PickleItem> stack_;
  std::vector<std::size_t> marks_;  // stack sizes at the open marks
  std::unordered_map<std::uint32_t, PickleItem> memo_;

  [[nodiscard]] Unexpected problem(std::string what) const {
    return fail(ErrorKind::input, std::move(what), fmt::format("{}, byte {}", where_, at_),
                "Copy or download the file again, or save plain data: tensors, dicts, lists, numbers and texts");
  }
  [[nodiscard]] Unexpected cut_off() const { return problem("the pickle is cut off"); }
  // An error from elsewhere, with the place when it has none.
  [[nodiscard]] Unexpected placed(Error error) const {
    if (error.where.empty()) error.where = fmt::format("{}, byte {}", where_, at_);
    return fail(std::move(error));
  }

  Expected<void> push(PickleItem item) {
    stack_.push_back(item);
    return {};
  }
  Expected<void> push(Expected<PickleItem> item) {
    if (!item) return placed(std::move(item.error()));
    return push(*item);
  }
  // Items above the last mark, or above the bottom.
  [[nodiscard]] std::size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  std::optional<PickleItem> pop() {
    if (available() == 0) return std::nullopt;
    const PickleItem item = stack_.back();
    stack_.pop_back();
    return item;
  }
  std::optional<std::vector<PickleItem>> pop_to_mark() {
    if (marks_.empty()) return std::nullopt;
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleItem> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  Expected<void> push_tuple(std::size_t size) {
    if (available() < size) return underflow();
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(size);
    std::vector<PickleItem> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return push(arena_.add_list(Kind::tuple, std::move(items)));
  }
  [[nodiscard]] Unexpected underflow() const { return problem("an opcode takes more than there is"); }

  // An argument of `Length` bytes that says how many bytes follow.
  template <typename Length>
  Expected<void> push_text(Kind kind) {
    const auto length = in_.read<Length>();
    const auto text = length ? in_.take_text(*length) : std::nullopt;
    if (!text) return cut_off();
    if (kind == Kind::text && !is_valid_utf8(*text)) return problem("a text is not UTF-8");
    return push(arena_.add_text(kind, std::string(*text)));
  }
  template <typename Number>
  Expected<void> push_integer() {
    const auto number = in_.read<Number>();
    if (!number) return cut_off();
    return push(PickleItem{Kind::integer, static_cast<std::int64_t>(*number)});
  }
  template <typename Length>
  Expected<void> push_long() {
    const auto length = in_.read<Length>();
    const auto bytes = length ? in_.take(*length) : std::nullopt;
    if (!bytes) return cut_off();
    if (bytes->size() > sizeof(std::int64_t)) return problem("an integer has more than 64 bits");
    const bool negative = !bytes->empty() && (static_cast<std::uint8_t>(bytes->back()) & 0x80U) != 0;
    std::uint64_t bits = negative ? ~std::uint64_t{0} : 0;
    std::memcpy(&bits, bytes->data(), bytes->size());  // little-endian; the rest repeats the sign
    return push(PickleItem{Kind::integer, static_cast<std::int64_t>(bits)});
  }
  Expected<void> push_real() {
    const auto bits = in_.read<std::uint64_t>();
    if (!bits) return cut_off();
    return push(PickleItem{Kind::real, static_cast<std::int64_t>(__builtin_bswap64(*bits))});  // big-endian
  }

  template <typename Index>
  Expected<void> remember() {
    const auto index = in_.read<Index>();
    if (!index) return cut_off();
    if (available() == 0) return underflow();
    memo_[*index] = stack_.back();
    return {};
  }
  template <typename Index>
  Expected<void> recall() {
    const auto index = in_.read<Index>();
    if (!index) return cut_off();
    const auto found = memo_.find(*index);
    if (found == memo_.end()) return problem("a value is used before it is there");
    return push(found->second);
  }

  Expected<void> add_items(bool to_dict, std::optional<std::vector<PickleItem>> items) {
    if (!items || available() == 0) return underflow();
    const PickleItem target = stack_.back();
    if (target.kind != (to_dict ? Kind::dict : Kind::list))
      return problem("values are added to another kind of object");
    if (to_dict && items->size() % 2 != 0) return problem("a dict gets a key without a value");
    auto& held = arena_.lists[target.index()];
    held.insert(held.end(), items->begin(), items->end());
    arena_.items += items->size();
    return {};
  }
  // One value, or a key and its value, from the top of the stack.
  std::optional<std::vector<PickleItem>> pop_some(std::size_t count) {
    if (available() < count) return std::nullopt;
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<PickleItem> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return items;
  }

  Expected<void> push_global(std::string_view module, std::string_view name) {
    if (const auto known = find_global(module, name)) {
      return push(PickleItem{Kind::global, static_cast<std::int64_t>(*known)});
    }
    const auto shown = [](std::string_view text) { return is_valid_utf8(text) ? std::string(text) : "?"; };
    return fail(ErrorKind::input,
                fmt::format("the file asks for the Python object {}.{}, which is not plain data; nothing was run",
                            shown(module), shown(name)),
                fmt::format("{}, byte {}", where_, at_),
                "Save plain data: tensors, dicts, lists, numbers and texts, for example a state dict");
  }
  Expected<void> read_global() {
    std::string_view names[2];
    for (std::string_view& name : names) {
      ByteReader ahead = in_;
      std::size_t length = 0;
      while (length <= longest_name) {
        const auto c = ahead.read<char>();
        if (!c) return cut_off();
        if (*c == '\n') break;
        ++length;
      }
      if (length > longest_name) return problem("the name of an object is too long");
      name = *in_.take_text(length + 1);
      name.remove_suffix(1);
    }
    return push_global(names[0], names[1]);
  }
  Expected<void> stack_global() {
    const auto name = pop(), module = pop();
    if (!name || !module) return underflow();
    if (name->kind != Kind::text || module->kind != Kind::text) return problem("an object's name is not a text");
    const std::string module_text = arena_.texts[module->index()].substr(0, longest_name);
    return push_global(module_text, std::string(arena_.texts[name->index()].substr(0, longest_name)));
  }

  Expected<void> reduce() {
    const auto arguments = pop(), callable = pop();
    if (!arguments || !callable) return underflow();
    if (callable->kind != Kind::global) return problem("something that is no known object is called");
    return push(call_global(arena_, known_global(callable->index()), *arguments));
  }
  // The attributes of a dict (a state dict has `_metadata`) are left out.
  Expected<void> build() {
    const auto state = pop();
    if (!state || available() == 0) return underflow();
    if (stack_.back().kind != Kind::dict) return problem("an object that is not plain data gets attributes");
    return {};
  }

  Expected<void> step(std::uint8_t opcode) {
    switch (opcode) {
      case op_proto: {
        const auto version = in_.read<std::uint8_t>();
        if (!version) return cut_off();
        if (*version < 2 || *version > newest_protocol) {
          return problem(fmt::format("the pickle has protocol {}, where 2 to 5 are read", *version));
        }
        return {};
      }
      case op_frame:
        return in_.read<std::uint64_t>() ? Expected<void>{} : cut_off();
      case op_none:
        return push(PickleItem{});
      case op_newtrue:
      case op_newfalse:
        return push(PickleItem{Kind::boolean, opcode == op_newtrue ? 1 : 0});
      case op_binint:
        return push_integer<std::int32_t>();
      case op_binint1:
        return push_integer<std::uint8_t>();
      case op_binint2:
        return push_integer<std::uint16_t>();
      case op_long1:
        return push_long<std::uint8_t>();
      case op_long4:
        return push_long<std::uint32_t>();
      case op_binfloat:
        return push_real();
      case op_short_binunicode:
        return push_text<std::uint8_t>(Kind::text);
      case op_binunicode:
        return push_text<std::uint32_t>(Kind::text);
      case op_binunicode8:
        return push_text<std::uint64_t>(Kind::text);
      case op_short_binbytes:
      case op_short_binstring:
        return push_text<std::uint8_t>(Kind::bytes);
      case op_binbytes:
      case op_binstring:
        return push_text<std::uint32_t>(Kind::bytes);
      case op_binbytes8:
      case op_bytearray8:
        return push_text<std::uint64_t>(Kind::bytes);
      default:
        return step_container(opcode);
    }
  }

  Expected<void> step_container(std::uint8_t opcode) {
    switch (opcode) {
      case op_empty_list:
        return push(arena_.add_list(Kind::list, {}));
      case op_empty_tuple:
        return push(arena_.add_list(Kind::tuple, {}));
      case op_empty_dict:
        return push(arena_.add_list(Kind::dict, {}));
      case op_tuple1:
        return push_tuple(1);
      case op_tuple2:
        return push_tuple(2);
      case op_tuple3:
        return push_tuple(3);
      case op_tuple: {
        auto items = pop_to_mark();
        if (!items) return underflow();
        return push(arena_.add_list(Kind::tuple, std::move(*items)));
      }
      case op_append:
        return add_items(false, pop_some(1));
      case op_appends:
        return add_items(false, pop_to_mark());
      case op_setitem:
        return add_items(true, pop_some(2));
      case op_setitems:
        return add_items(true, pop_to_mark());
      case op_mark:
        marks_.push_back(stack_.size());
        if (marks_.size() > pickle_limit::containers) return problem("the pickle opens too many containers");
        return {};
      case op_pop:
        return pop() ? Expected<void>{} : underflow();
      case op_pop_mark:
        return pop_to_mark() ? Expected<void>{} : underflow();
      case op_dup:
        return available() == 0 ? Expected<void>(underflow()) : push(stack_.back());
      default:
        return step_object(opcode);
    }
  }

  Expected<void> step_object(std::uint8_t opcode) {
    switch (opcode) {
      case op_binget:
        return recall<std::uint8_t>();
      case op_long_binget:
        return recall<std::uint32_t>();
      case op_binput:
        return remember<std::uint8_t>();
      case op_long_binput:
        return remember<std::uint32_t>();
      case op_memoize:
        if (available() == 0) return underflow();
        memo_[static_cast<std::uint32_t>(memo_.size())] = stack_.back();
        return {};
      case op_global:
        return read_global();
      case op_stack_global:
        return stack_global();
      case op_reduce:
        return reduce();
      case op_build:
        return build();
      case op_binpersid: {
        const auto id = pop();
        if (!id) return underflow();
        return push(load_storage(arena_, *id, storages_));
      }
      case op_newobj:
      case op_newobj_ex:
      case op_obj:
      case op_inst:
        return problem("the file makes a Python object, which is not plain data; nothing was run");
      default:
        return problem(fmt::format("the pickle has the opcode 0x{:02X}, which plain data does not need", opcode));
    }
  }
};

}  // namespace

Expected<PickleValue> unpickle(std::span<const std::byte> pickle, const std::string& where,
                               const StorageSource& storages) {
  if (pickle.size() > pickle_limit::bytes) {
    return fail(ErrorKind::input,
                fmt::format("the pickle has {} bytes, more than {}", pickle.size(), pickle_limit::bytes), where,
                "Save large data as tensors");
  }
  return Machine(pickle, where, storages).run();
}

}  // namespace moescope
