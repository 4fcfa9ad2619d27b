#include "core/io/gguf_header.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <limits>
#include <set>

#include "core/base/utf8.h"
#include "core/io/byte_reader.h"
#include "core/io/gguf.h"

namespace moescope {
namespace {

constexpr std::uint32_t gguf_magic = 0x46554747;  // "GGUF"
constexpr std::uint64_t default_alignment = 32;
constexpr std::uint32_t most_dimensions = 4;
constexpr std::size_t shortest_entry = 8 + 1 + 4 + 1;   // a key of one byte, its type and a value of one byte
constexpr std::size_t shortest_tensor = 8 + 4 + 4 + 8;  // no name, no dimensions, type and offset
constexpr const char* copy_gguf_again = "Copy or download the file again";

// The type of each number; nothing for removed and unknown ones.
std::optional<DType> tensor_type(std::uint32_t id) {
  constexpr std::array<std::pair<std::uint32_t, DType>, 30> types{
      {{0, DType::f32},     {1, DType::f16},      {2, DType::q4_0},   {3, DType::q4_1},    {6, DType::q5_0},
       {7, DType::q5_1},    {8, DType::q8_0},     {9, DType::q8_1},   {10, DType::q2_k},   {11, DType::q3_k},
       {12, DType::q4_k},   {13, DType::q5_k},    {14, DType::q6_k},  {15, DType::q8_k},   {16, DType::iq2_xxs},
       {17, DType::iq2_xs}, {18, DType::iq3_xxs}, {19, DType::iq1_s}, {20, DType::iq4_nl}, {21, DType::iq3_s},
       {22, DType::iq2_s},  {23, DType::iq4_xs},  {24, DType::i8},    {25, DType::i16},    {26, DType::i32},
       {27, DType::i64},    {28, DType::f64},     {29, DType::iq1_m}, {30, DType::bf16},   {34, DType::tq1_0}}};
  for (const auto& [number, type] : types) {
    if (number == id) return type;
  }
  if (id == 35) return DType::tq2_0;
  if (id == 39) return DType::mxfp4;
  return std::nullopt;
}

// Bytes of one element of an array; 0 for types that may not be in one. Texts have at least their length.
std::uint64_t least_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::text:
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::array:
      break;
  }
  return 0;
}

class Parser {
 public:
  explicit Parser(const std::shared_ptr<const MappedFile>& mapped)
      : mapped_(mapped), file_(mapped->path().string()), in_(mapped->bytes()) {}

  Expected<GgufPart> run() {
    std::uint64_t tensors = 0, entries = 0;
    if (auto done = read_front(tensors, entries); !done) return fail(done.error());
    for (std::uint64_t i = 0; i < entries; ++i) {
      if (auto done = read_entry(); !done) return fail(done.error());
    }
    if (auto done = read_alignment(); !done) return fail(done.error());
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < tensors; ++i) {
      if (auto done = read_tensor(offsets); !done) return fail(done.error());
    }
    if (auto done = place_tensors(offsets); !done) return fail(done.error());
    if (auto lost = mapped_->fault()) return fail(*lost);
    return std::move(part_);
  }

 private:
  const std::shared_ptr<const MappedFile>& mapped_;
  std::string file_;
  ByteReader in_;
  std::uint64_t array_elements_ = 0;
  std::set<std::string> names_;
  GgufPart part_;

  [[nodiscard]] Unexpected problem(std::string what, const char* advice = copy_gguf_again) const {
    return fail(ErrorKind::input, std::move(what), fmt::format("{}, byte {}", file_, in_.position()), advice);
  }
  [[nodiscard]] Unexpected problem_of(const char* kind, const std::string& name, std::string what) const {
    return fail(ErrorKind::input, std::move(what), fmt::format("{}, {} '{}'", file_, kind, name), copy_gguf_again);
  }
  [[nodiscard]] Unexpected cut_off() const { return problem("the header is cut off"); }

  Expected<void> read_front(std::uint64_t& tensors, std::uint64_t& entries) {
    if (in_.read<std::uint32_t>() != gguf_magic)
      return problem("this is not a GGUF file", "Check that this is the right file");
    const auto version = in_.read<std::uint32_t>();
    if (!version) return cut_off();
    if (*version != 0 && (*version & 0xFFFFU) == 0) {
      return problem("the file has the other endianness: it was written on a big-endian machine",
                     "Use the little-endian file of this model");
    }
    if (*version != 2 && *version != 3) {
      return problem(fmt::format("the file has GGUF version {}, where 2 and 3 are read", *version),
                     "Convert it with a current converter");
    }
    part_.version = *version;
    const auto tensor_count = in_.read<std::uint64_t>(), entry_count = in_.read<std::uint64_t>();
    if (!tensor_count || !entry_count) return cut_off();
    if (*tensor_count > gguf_limit::entries || *tensor_count > in_.remaining() / shortest_tensor ||
        *entry_count > gguf_limit::entries || *entry_count > in_.remaining() / shortest_entry) {
      return problem(fmt::format("the header promises {} tensors and {} metadata entries, more than the file can hold",
                                 *tensor_count, *entry_count));
    }
    tensors = *tensor_count;
    entries = *entry_count;
    return {};
  }

  Expected<std::string> read_text() {
    const auto length = in_.read<std::uint64_t>();
    if (!length) return cut_off();
    if (*length > gguf_limit::text_bytes || *length > in_.remaining()) {
      return problem(fmt::format("a text is said to have {} bytes, more than the file has", *length));
    }
    return std::string(*in_.take_text(*length));
  }

  Expected<void> read_entry() {
    auto key = read_text();
    if (!key) return fail(key.error());
    if (key->empty() || !is_valid_utf8(*key)) return problem("a metadata key is empty or not UTF-8");
    if (part_.metadata.contains(*key)) return problem_of("key", *key, "the metadata has a key twice");
    auto value = read_value();
    if (!value) {
      Error error = std::move(value.error());
      error.where += fmt::format(", key '{}'", *key);
      return fail(std::move(error));
    }
    part_.metadata.emplace(std::move(*key), std::move(*value));
    return {};
  }

  Expected<GgufValue> read_value() {
    const auto type = in_.read<std::uint32_t>();
    if (!type) return cut_off();
    GgufValue out;
    out.type = static_cast<GgufType>(*type);
    if (*type > static_cast<std::uint32_t>(GgufType::f64)) {
      return problem(fmt::format("a metadata value has the unknown type {}", *type));
    }
    if (auto done = out.type == GgufType::array ? read_array(out) : read_scalar(out); !done) return fail(done.error());
    return out;
  }

  // Number of any width as the value's own kind; nothing at the end of the file.
  template <typename Number, typename Held>
  bool number(GgufValue& out) {
    const auto value = in_.read<Number>();
    if (value) out.value = static_cast<Held>(*value);
    return value.has_value();
  }
  template <typename Number, typename Held>
  bool numbers(GgufValue& out, std::uint64_t count) {
    std::vector<Held> values(static_cast<std::size_t>(count));
    for (Held& value : values) {
      const auto read = in_.read<Number>();
      if (!read) return false;
      value = static_cast<Held>(*read);
    }
    out.value = std::move(values);
    return true;
  }

  // Calls `read` with the file's type and our own of a type of numbers; false when it is none, or at the end.
  template <typename Read>
  static bool as_number(GgufType type, const Read& read) {
    switch (type) {
      case GgufType::u8:
        return read.template operator()<std::uint8_t, std::int64_t>();
      case GgufType::i8:
        return read.template operator()<std::int8_t, std::int64_t>();
      case GgufType::u16:
        return read.template operator()<std::uint16_t, std::int64_t>();
      case GgufType::i16:
        return read.template operator()<std::int16_t, std::int64_t>();
      case GgufType::u32:
        return read.template operator()<std::uint32_t, std::int64_t>();
      case GgufType::i32:
        return read.template operator()<std::int32_t, std::int64_t>();
      case GgufType::i64:
        return read.template operator()<std::int64_t, std::int64_t>();
      case GgufType::u64:
        return read.template operator()<std::uint64_t, std::uint64_t>();
      case GgufType::f32:
        return read.template operator()<float, double>();
      case GgufType::f64:
        return read.template operator()<double, double>();
      case GgufType::boolean:
      case GgufType::text:
      case GgufType::array:
        break;
    }
    return false;
  }

  Expected<void> read_scalar(GgufValue& out) {
    if (out.type == GgufType::boolean) {
      const auto byte = in_.read<std::uint8_t>();
      if (!byte) return cut_off();
      if (*byte > 1) return problem("a boolean is neither 0 nor 1");
      out.value = *byte == 1;
      return {};
    }
    if (out.type == GgufType::text) {
      auto text = read_text();
      if (!text) return fail(text.error());
      out.value = std::move(*text);
      return {};
    }
    const bool whole = as_number(out.type, [&]<typename Number, typename Held>() { return number<Number, Held>(out); });
    return whole ? Expected<void>{} : cut_off();
  }

  Expected<void> read_array(GgufValue& out) {
    const auto element = in_.read<std::uint32_t>();
    const auto count = in_.read<std::uint64_t>();
    if (!element || !count) return cut_off();
    out.element = static_cast<GgufType>(*element);
    if (out.element == GgufType::array) return problem("a metadata array holds arrays");
    if (*element > static_cast<std::uint32_t>(GgufType::f64)) {
      return problem(fmt::format("a metadata array has the unknown type {}", *element));
    }
    const std::uint64_t least = least_bytes(out.element);
    if (*count > gguf_limit::array_elements || *count > in_.remaining() / least) {
      return problem(fmt::format("an array is said to have {} elements, more than the file has", *count));
    }
    array_elements_ += *count;
    if (array_elements_ > gguf_limit::all_array_elements) {
      return problem(fmt::format("the metadata has more than {} array elements", gguf_limit::all_array_elements));
    }
    if (out.element == GgufType::boolean) return read_booleans(out, *count);
    if (out.element == GgufType::text) return read_texts(out, *count);
    const bool whole =
        as_number(out.element, [&]<typename Number, typename Held>() { return numbers<Number, Held>(out, *count); });
    return whole ? Expected<void>{} : cut_off();
  }

  Expected<void> read_booleans(GgufValue& out, std::uint64_t count) {
    const auto bytes = in_.take(count);
    if (!bytes) return cut_off();
    std::vector<bool> values;
    values.reserve(bytes->size());
    for (const std::byte byte : *bytes) {
      if (byte != std::byte{0} && byte != std::byte{1}) return problem("a boolean is neither 0 nor 1");
      values.push_back(byte == std::byte{1});
    }
    out.value = std::move(values);
    return {};
  }

  Expected<void> read_texts(GgufValue& out, std::uint64_t count) {
    std::vector<std::string> values;
    values.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      auto text = read_text();
      if (!text) return fail(text.error());
      values.push_back(std::move(*text));
    }
    out.value = std::move(values);
    return {};
  }

  Expected<void> read_alignment() {
    part_.alignment = default_alignment;
    const auto found = part_.metadata.find("general.alignment");
    if (found == part_.metadata.end()) return {};
    const auto value = found->second.integer();
    if (found->second.type != GgufType::u32 || !value || !std::has_single_bit(static_cast<std::uint64_t>(*value))) {
      return problem_of("key", found->first, "the alignment is not an unsigned power of two");
    }
    part_.alignment = static_cast<std::uint64_t>(*value);
    return {};
  }

  Expected<void> read_tensor(std::vector<std::uint64_t>& offsets) {
    auto name = read_text();
    if (!name) return fail(name.error());
    if (name->size() > gguf_limit::tensor_name_bytes || !is_valid_utf8(*name)) {
      return problem(
          fmt::format("a tensor's name is longer than {} bytes or not UTF-8", gguf_limit::tensor_name_bytes));
    }
    if (!names_.insert(*name).second) return problem_of("tensor", *name, "the header names a tensor twice");
    const auto dimensions = in_.read<std::uint32_t>();
    if (!dimensions) return cut_off();
    if (*dimensions > most_dimensions) {
      return problem_of("tensor", *name, fmt::format("the tensor has {} dimensions, more than 4", *dimensions));
    }
    TensorView view;
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < *dimensions; ++i) {
      const auto extent = in_.read<std::uint64_t>();
      if (!extent) return cut_off();
      constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
      if (*extent > most || __builtin_mul_overflow(elements, *extent, &elements) || elements > most) {
        return problem_of("tensor", *name, "the tensor's size is not a number of elements");
      }
      view.shape.insert(view.shape.begin(), *extent);  // the file lists the fastest dimension first
    }
    const auto type = in_.read<std::uint32_t>();
    const auto offset = in_.read<std::uint64_t>();
    if (!type || !offset) return cut_off();
    const auto known = tensor_type(*type);
    if (!known) return problem_of("tensor", *name, fmt::format("the tensor has the unknown or removed type {}", *type));
    view.type = *known;
    view.name = std::move(*name);
    view.owner = mapped_;
    view.file = file_;
    offsets.push_back(*offset);
    part_.tensors.push_back(std::move(view));
    return {};
  }

  // Every tensor begins where the one before it ends, padded to the alignment.
  Expected<void> place_tensors(const std::vector<std::uint64_t>& offsets) {
    const auto padded = [this](std::uint64_t at) {
      return at + (part_.alignment - at % part_.alignment) % part_.alignment;
    };
    part_.data_offset = padded(in_.position());
    const auto bytes = mapped_->bytes();
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < part_.tensors.size(); ++i) {
      TensorView& view = part_.tensors[i];
      const auto size = byte_size(view.type, view.shape);
      if (!size) {
        return problem_of(
            "tensor", view.name,
            fmt::format("the tensor's rows do not hold whole blocks of {}, or it is too large", dtype_name(view.type)));
      }
      if (offsets[i] != expected) {
        return problem_of("tensor", view.name,
                          fmt::format("the tensor lies at offset {} where it must begin at {}", offsets[i], expected));
      }
      // Both are at most the file's size, so their sum does not wrap.
      if (part_.data_offset > bytes.size() || expected > bytes.size() - part_.data_offset ||
          *size > bytes.size() - part_.data_offset - expected) {
        return problem_of("tensor", view.name, "the tensor lies outside the file");
      }
      view.file_offset = part_.data_offset + expected;
      view.bytes = bytes.subspan(static_cast<std::size_t>(view.file_offset), static_cast<std::size_t>(*size));
      expected = padded(expected + *size);
    }
    return {};
  }
};

}  // namespace

Expected<GgufPart> read_gguf_part(const std::shared_ptr<const MappedFile>& file) {
  return Parser(file).run();
}

}  // namespace moescope
