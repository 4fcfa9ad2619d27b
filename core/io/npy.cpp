#include "core/io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace moescope {
namespace {

constexpr std::string_view npy_magic("\x93NUMPY", 6);
constexpr const char* advice = "Save the array again with numpy.save";

struct Description {
  DType type = DType::f32;
  bool big_endian = false;
  bool fortran = false;
  std::vector<std::uint64_t> shape;
};

struct TypeName {
  std::string_view text;  // without the byte order
  DType type;
};
constexpr std::array<TypeName, 12> type_names{{{"b1", DType::boolean},
                                               {"u1", DType::u8},
                                               {"i1", DType::i8},
                                               {"i2", DType::i16},
                                               {"u2", DType::u16},
                                               {"f2", DType::f16},
                                               {"i4", DType::i32},
                                               {"u4", DType::u32},
                                               {"f4", DType::f32},
                                               {"i8", DType::i64},
                                               {"u8", DType::u64},
                                               {"f8", DType::f64}}};

// The header: a Python dict literal with exactly 'descr', 'fortran_order' and 'shape'.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  // Empty when it was read; else what is wrong.
  std::string read(Description& out) {
    bool has_type = false, has_order = false, has_shape = false;
    if (!take('{')) return "it does not begin with '{'";
    while (!take('}')) {
      const auto key = quoted();
      if (!key || !take(':')) return "a key is missing";
      std::string problem;
      if (*key == "descr" && !has_type) {
        has_type = true;
        problem = read_type(out);
      } else if (*key == "fortran_order" && !has_order) {
        has_order = true;
        problem = read_order(out);
      } else if (*key == "shape" && !has_shape) {
        has_shape = true;
        problem = read_shape(out);
      } else {
        return fmt::format("the key '{}' is unknown or comes twice", *key);
      }
      if (!problem.empty()) return problem;
      if (take(',')) continue;
      if (!take('}')) return "a comma is missing";
      break;
    }
    skip_space();
    if (at_ != text_.size()) return "something follows the closing brace";
    return has_type && has_order && has_shape ? "" : "'descr', 'fortran_order' or 'shape' is missing";
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool take(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  std::optional<std::string_view> quoted() {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return std::nullopt;
    const auto end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return std::nullopt;
    const auto value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }
  std::string read_type(Description& out) {
    const auto value = quoted();
    if (!value || value->size() < 2) return "'descr' is not a plain type (records are not read)";
    const char order = (*value)[0];
    std::string_view name = value->substr(1);
    if (name.starts_with('O') || order == 'O') return "the array holds Python objects, which are never loaded";
    if (order != '<' && order != '>' && order != '|' && order != '=') return fmt::format("'{}' is no type", *value);
    out.big_endian = order == '>';
    for (const TypeName& known : type_names) {
      if (known.text != name) continue;
      out.type = known.type;
      return {};
    }
    return fmt::format("the type '{}' holds no numbers that can be read", *value);
  }
  std::string read_order(Description& out) {
    if (take_word("True")) {
      out.fortran = true;
    } else if (!take_word("False")) {
      return "'fortran_order' is neither True nor False";
    }
    return {};
  }
  std::string read_shape(Description& out) {
    if (!take('(')) return "'shape' is not a tuple";
    while (!take(')')) {
      skip_space();
      std::uint64_t value = 0;
      const std::size_t begin = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        if (at_ - begin >= 18) return "a dimension is too large";
        value = value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
      }
      if (at_ == begin) return "a dimension is not a number";
      take_word("L");
      out.shape.push_back(value);
      if (out.shape.size() > npy_limit::dimensions) {
        return fmt::format("there are more than {} dimensions", npy_limit::dimensions);
      }
      if (take(',')) continue;
      if (!take(')')) return "'shape' is not closed";
      break;
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Unexpected problem(const std::string& file, std::string what, std::string hint = advice) {
  return fail(ErrorKind::input, std::move(what), file, std::move(hint));
}

// Elements in C order, bytes in this machine's order.
std::vector<std::byte> rearranged(std::span<const std::byte> from, const Description& d, std::uint64_t elements) {
  const std::size_t size = static_cast<std::size_t>(dtype_bits(d.type)) / 8;
  std::vector<std::byte> out(from.size());
  std::vector<std::uint64_t> index(d.shape.size(), 0);
  std::vector<std::uint64_t> strides(d.shape.size(), 1);
  if (d.fortran) {
    for (std::size_t i = 1; i < strides.size(); ++i) strides[i] = strides[i - 1] * d.shape[i - 1];
  } else {
    for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * d.shape[i];
  }
  std::uint64_t source = 0;
  for (std::uint64_t i = 0; i < elements; ++i) {
    std::byte* const to = out.data() + i * size;
    std::memcpy(to, from.data() + source * size, size);
    if (d.big_endian) std::reverse(to, to + size);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      source += strides[axis];
      if (++index[axis] < d.shape[axis]) break;
      source -= strides[axis] * d.shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

std::uint64_t little(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = (value << 8U) | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

bool looks_like_npy(std::span<const std::byte> bytes) {
  return bytes.size() >= npy_magic.size() && std::memcmp(bytes.data(), npy_magic.data(), npy_magic.size()) == 0;
}

Expected<NpyArray> read_npy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                            const std::string& file) {
  if (!looks_like_npy(bytes)) return problem(file, "this is no .npy file: its first six bytes are others");
  if (bytes.size() < 10) return problem(file, "the .npy file ends in its first ten bytes");
  const auto version = std::to_integer<unsigned>(bytes[6]);
  if (version < 1 || version > 3) {
    return problem(file, fmt::format("the .npy file has version {}, versions 1 to 3 are read", version));
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) return problem(file, "the .npy file ends in its header");
  const std::uint64_t header_size = little(bytes.subspan(8, length_bytes));
  const std::size_t begin = 8 + length_bytes;
  if (header_size > npy_limit::header_bytes) {
    return problem(file,
                   fmt::format("the .npy header has {} bytes, more than {}", header_size, npy_limit::header_bytes));
  }
  if (header_size > bytes.size() - begin) return problem(file, "the .npy file ends in its header");
  Description d;
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + begin, header_size);
  if (const std::string wrong = HeaderParser(header).read(d); !wrong.empty()) {
    return problem(file, "the .npy header is wrong: " + wrong);
  }
  const auto size = byte_size(d.type, d.shape);
  if (!size) return problem(file, "the size of the array overflows");
  const auto data = bytes.subspan(begin + header_size);
  NpyArray out;
  out.tensor.name = file;
  out.tensor.type = d.type;
  out.tensor.file = file;
  out.tensor.file_offset = begin + header_size;
  if (data.size() < *size) {
    out.missing_bytes = *size - data.size();
    const std::uint64_t entry = d.shape.empty() || d.shape[0] == 0 ? *size : *size / d.shape[0];
    const std::uint64_t whole = entry == 0 ? 0 : data.size() / entry;
    if (whole == 0 || d.shape.empty() || (d.fortran && d.shape.size() > 1)) {
      return problem(file, fmt::format("the array is cut off: {} of {} bytes are there", data.size(), *size),
                     "Copy the file again");
    }
    d.shape[0] = whole;
  }
  const std::uint64_t kept = *byte_size(d.type, d.shape);
  out.tensor.shape = d.shape;
  out.tensor.bytes = data.first(kept);
  out.tensor.owner = std::move(owner);
  const bool one_axis = std::count_if(d.shape.begin(), d.shape.end(), [](std::uint64_t n) { return n != 1; }) <= 1;
  if ((d.fortran && !one_axis) || (d.big_endian && dtype_bits(d.type) > 8)) {
    auto block = std::make_shared<const std::vector<std::byte>>(rearranged(out.tensor.bytes, d, out.tensor.elements()));
    out.tensor.bytes = *block;
    out.tensor.owner = block;
  }
  return out;
}

std::string npy_header(DType type, std::span<const std::uint64_t> shape) {
  std::string_view name = "u1";
  for (const TypeName& known : type_names) {
    if (known.type == type) name = known.text;
  }
  const char order = dtype_bits(type) <= 8 ? '|' : '<';
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}", order, name,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const std::size_t unpadded = npy_magic.size() + 2 + 2 + text.size() + 1;
  text.append((64 - unpadded % 64) % 64, ' ');
  text.push_back('\n');
  std::string out(npy_magic);
  out.push_back('\1');
  out.push_back('\0');
  out.push_back(static_cast<char>(text.size() & 0xFFU));
  out.push_back(static_cast<char>((text.size() >> 8U) & 0xFFU));
  return out + text;
}

}  // namespace moescope
