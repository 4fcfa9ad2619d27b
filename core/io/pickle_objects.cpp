#include "core/io/pickle_objects.h"

#include <fmt/format.h>

#include <array>

namespace moescope {
namespace {

using Kind = PickleItem::Kind;
using Role = PickleGlobal::Role;

constexpr std::size_t most_arguments = 16;
constexpr const char* save_plain = "Save plain data: tensors, dicts, lists, numbers and texts";

constexpr std::array known_globals{PickleGlobal{"torch._utils", "_rebuild_tensor_v2", Role::tensor, {}},
                                   PickleGlobal{"torch._utils", "_rebuild_tensor_v3", Role::typed_tensor, {}},
                                   PickleGlobal{"torch._utils", "_rebuild_parameter", Role::parameter, {}},
                                   PickleGlobal{"collections", "OrderedDict", Role::ordered_dict, {}},
                                   PickleGlobal{"torch", "Size", Role::size, {}},
                                   PickleGlobal{"_codecs", "encode", Role::encode, {}},
                                   PickleGlobal{"torch", "FloatStorage", Role::storage, DType::f32},
                                   PickleGlobal{"torch", "DoubleStorage", Role::storage, DType::f64},
                                   PickleGlobal{"torch", "HalfStorage", Role::storage, DType::f16},
                                   PickleGlobal{"torch", "BFloat16Storage", Role::storage, DType::bf16},
                                   PickleGlobal{"torch", "LongStorage", Role::storage, DType::i64},
                                   PickleGlobal{"torch", "IntStorage", Role::storage, DType::i32},
                                   PickleGlobal{"torch", "ShortStorage", Role::storage, DType::i16},
                                   PickleGlobal{"torch", "CharStorage", Role::storage, DType::i8},
                                   PickleGlobal{"torch", "ByteStorage", Role::storage, DType::u8},
                                   PickleGlobal{"torch", "BoolStorage", Role::storage, DType::boolean},
                                   PickleGlobal{"torch", "ComplexFloatStorage", Role::storage, DType::c64},
                                   PickleGlobal{"torch", "UntypedStorage", Role::storage, {}},
                                   PickleGlobal{"torch.storage", "UntypedStorage", Role::storage, {}},
                                   PickleGlobal{"torch.storage", "_UntypedStorage", Role::storage, {}},
                                   PickleGlobal{"torch", "float32", Role::dtype, DType::f32},
                                   PickleGlobal{"torch", "float64", Role::dtype, DType::f64},
                                   PickleGlobal{"torch", "float16", Role::dtype, DType::f16},
                                   PickleGlobal{"torch", "bfloat16", Role::dtype, DType::bf16},
                                   PickleGlobal{"torch", "float8_e4m3fn", Role::dtype, DType::f8_e4m3},
                                   PickleGlobal{"torch", "float8_e5m2", Role::dtype, DType::f8_e5m2},
                                   PickleGlobal{"torch", "float8_e4m3fnuz", Role::dtype, DType::f8_e4m3fnuz},
                                   PickleGlobal{"torch", "float8_e5m2fnuz", Role::dtype, DType::f8_e5m2fnuz},
                                   PickleGlobal{"torch", "float8_e8m0fnu", Role::dtype, DType::f8_e8m0},
                                   PickleGlobal{"torch", "int64", Role::dtype, DType::i64},
                                   PickleGlobal{"torch", "int32", Role::dtype, DType::i32},
                                   PickleGlobal{"torch", "int16", Role::dtype, DType::i16},
                                   PickleGlobal{"torch", "int8", Role::dtype, DType::i8},
                                   PickleGlobal{"torch", "uint8", Role::dtype, DType::u8},
                                   PickleGlobal{"torch", "uint16", Role::dtype, DType::u16},
                                   PickleGlobal{"torch", "uint32", Role::dtype, DType::u32},
                                   PickleGlobal{"torch", "uint64", Role::dtype, DType::u64},
                                   PickleGlobal{"torch", "bool", Role::dtype, DType::boolean},
                                   PickleGlobal{"torch", "complex64", Role::dtype, DType::c64}};

Unexpected problem(std::string what) {
  return fail(ErrorKind::input, std::move(what), {}, save_plain);
}

// A tuple of whole numbers that are not negative.
bool read_extents(const PickleArena& arena, PickleItem tuple, std::vector<std::uint64_t>& out) {
  if (tuple.kind != Kind::tuple && tuple.kind != Kind::list) return false;
  const auto& items = arena.lists[tuple.index()];
  if (items.size() > pickle_limit::dimensions) return false;
  for (const PickleItem& item : items) {
    if (item.kind != Kind::integer || item.number < 0) return false;
    out.push_back(static_cast<std::uint64_t>(item.number));
  }
  return true;
}

// One past the last element that an index reaches, counted from the first; nothing when that overflows.
std::optional<std::uint64_t> extent_of(const StridedTensor& tensor) {
  std::uint64_t last = 0;
  for (std::size_t d = 0; d < tensor.strides.size(); ++d) {
    if (tensor.view.shape[d] == 0) return 0;
    std::uint64_t far = 0;
    if (__builtin_mul_overflow(tensor.view.shape[d] - 1, tensor.strides[d], &far) ||
        __builtin_add_overflow(last, far, &last)) {
      return std::nullopt;
    }
  }
  return last + 1 == 0 ? std::nullopt : std::optional(last + 1);
}

// (storage, offset, size, strides, requires_grad, hooks[, type or metadata …])
Expected<PickleItem> rebuild_tensor(PickleArena& arena, const std::vector<PickleItem>& given, bool typed) {
  if (given.size() < (typed ? 7U : 6U) || given[0].kind != Kind::storage || given[1].kind != Kind::integer ||
      given[1].number < 0) {
    return problem("a tensor is not made from a storage, an offset, a size and strides");
  }
  const PickleStorageItem& storage = arena.storages[given[0].index()];
  std::optional<DType> type = storage.type;
  if (typed) {
    const bool named = given[6].kind == Kind::global && known_global(given[6].index()).role == Role::dtype;
    type = named ? known_global(given[6].index()).type : std::nullopt;
  }
  if (!type) return problem("a tensor has no type");
  StridedTensor tensor;
  TensorView& view = tensor.view;
  if (!read_extents(arena, given[2], view.shape) || !read_extents(arena, given[3], tensor.strides) ||
      view.shape.size() != tensor.strides.size()) {
    return problem("a tensor's size and strides do not fit together");
  }
  view.name = storage.key;
  view.type = *type;
  const std::uint64_t size = dtype_block(*type).bytes;
  const auto extent = extent_of(tensor);
  const std::uint64_t elements = storage.data.bytes.size() / size, first = static_cast<std::uint64_t>(given[1].number);
  if (!extent || !byte_size(*type, view.shape) || first > elements || *extent > elements - first) {
    return problem(fmt::format("a tensor reaches beyond its storage of {} elements", elements));
  }
  view.bytes =
      storage.data.bytes.subspan(static_cast<std::size_t>(first * size), static_cast<std::size_t>(*extent * size));
  view.owner = storage.data.owner;
  view.file = storage.data.file;
  view.file_offset = storage.data.file_offset + first * size;
  arena.tensors.push_back(std::make_shared<const StridedTensor>(std::move(tensor)));
  return PickleItem{Kind::tensor, static_cast<std::int64_t>(arena.tensors.size() - 1)};
}

// (text, "latin1"): bytes as characters.
Expected<PickleItem> encode_text(PickleArena& arena, const std::vector<PickleItem>& given) {
  const bool texts = given.size() == 2 && given[0].kind == Kind::text && given[1].kind == Kind::text;
  if (!texts || (arena.texts[given[1].index()] != "latin1" && arena.texts[given[1].index()] != "latin-1")) {
    return problem("bytes are not written as text in Latin-1");
  }
  const std::string& text = arena.texts[given[0].index()];
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    if (lead < 0x80) {
      out.push_back(text[i]);
    } else if (lead == 0xC2 || lead == 0xC3) {  // U+0080 to U+00FF; the text is valid UTF-8
      const auto next = static_cast<std::uint8_t>(text[++i]);
      out.push_back(static_cast<char>(((lead & 3U) << 6U) | (next & 0x3FU)));
    } else {
      return problem("bytes are not written as text in Latin-1");
    }
  }
  return arena.add_text(Kind::bytes, std::move(out));
}

// () or ([(key, value), …],)
Expected<PickleItem> ordered_dict(PickleArena& arena, const std::vector<PickleItem>& given) {
  std::vector<PickleItem> flat;
  if (given.size() > 1) return problem("an ordered dict has more than one argument");
  if (given.size() == 1) {
    if (given[0].kind != Kind::list) return problem("an ordered dict is not made from a list of pairs");
    for (const PickleItem& pair : arena.lists[given[0].index()]) {
      const bool is_pair =
          (pair.kind == Kind::list || pair.kind == Kind::tuple) && arena.lists[pair.index()].size() == 2;
      if (!is_pair) return problem("an ordered dict is not made from a list of pairs");
      flat.push_back(arena.lists[pair.index()][0]);
      flat.push_back(arena.lists[pair.index()][1]);
    }
  }
  return arena.add_list(Kind::dict, std::move(flat));
}

}  // namespace

std::optional<std::size_t> find_global(std::string_view module, std::string_view name) {
  for (std::size_t i = 0; i < known_globals.size(); ++i) {
    if (module == known_globals[i].module && name == known_globals[i].name) return i;
  }
  return std::nullopt;
}

const PickleGlobal& known_global(std::size_t index) {
  return known_globals[index];
}

PickleItem PickleArena::add_text(PickleItem::Kind kind, std::string text) {
  text_bytes += text.size();
  texts.push_back(std::move(text));
  return {kind, static_cast<std::int64_t>(texts.size() - 1)};
}

PickleItem PickleArena::add_list(PickleItem::Kind kind, std::vector<PickleItem> items_of_it) {
  items += items_of_it.size();
  lists.push_back(std::move(items_of_it));
  return {kind, static_cast<std::int64_t>(lists.size() - 1)};
}

bool PickleArena::within_limits() const {
  return items <= pickle_limit::values && texts.size() <= pickle_limit::values &&
         text_bytes <= pickle_limit::text_bytes && lists.size() <= pickle_limit::containers;
}

Expected<PickleItem> call_global(PickleArena& arena, const PickleGlobal& global, PickleItem arguments) {
  if (arguments.kind != Kind::tuple) return problem("an object is called without a tuple of arguments");
  if (arena.lists[arguments.index()].size() > most_arguments) return problem("an object is called with too much");
  const std::vector<PickleItem> given = arena.lists[arguments.index()];  // a copy: calls add lists
  switch (global.role) {
    case Role::tensor:
      return rebuild_tensor(arena, given, false);
    case Role::typed_tensor:
      return rebuild_tensor(arena, given, true);
    case Role::parameter:
      if (given.empty() || given[0].kind != Kind::tensor) return problem("a parameter is not made from a tensor");
      return given[0];
    case Role::ordered_dict:
      return ordered_dict(arena, given);
    case Role::size: {
      std::vector<std::uint64_t> extents;
      if (given.size() != 1 || !read_extents(arena, given[0], extents)) {
        return problem("a torch.Size is not made from whole numbers");
      }
      return given[0];
    }
    case Role::encode:
      return encode_text(arena, given);
    case Role::storage:
    case Role::dtype:
      break;
  }
  return problem(fmt::format("{}.{} is called, which plain data does not", global.module, global.name));
}

Expected<PickleItem> load_storage(PickleArena& arena, PickleItem id, const StorageSource& source) {
  const auto wrong = [] { return problem("a storage is not referred to as torch.save does it"); };
  if (id.kind != Kind::tuple) return wrong();
  const auto& given = arena.lists[id.index()];
  if (given.size() < 5 || given[0].kind != Kind::text || arena.texts[given[0].index()] != "storage" ||
      given[1].kind != Kind::global || known_global(given[1].index()).role != Role::storage ||
      given[2].kind != Kind::text || given[4].kind != Kind::integer || given[4].number < 0) {
    return wrong();
  }
  PickleStorageItem out;
  out.type = known_global(given[1].index()).type;
  out.key = arena.texts[given[2].index()];
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(given[4].number),
                             std::uint64_t{out.type ? dtype_block(*out.type).bytes : 1U}, &bytes)) {
    return problem(fmt::format("storage '{}' has an impossible size", out.key));
  }
  auto data = source(out.key, bytes);
  if (!data) return fail(data.error());
  data->bytes = data->bytes.first(static_cast<std::size_t>(bytes));
  out.data = std::move(*data);
  arena.storages.push_back(std::move(out));
  return PickleItem{Kind::storage, static_cast<std::int64_t>(arena.storages.size() - 1)};
}

}  // namespace moescope
