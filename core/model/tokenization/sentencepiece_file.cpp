#include "core/model/tokenization/sentencepiece_file.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <optional>

#include "core/base/utf8.h"
#include "core/io/byte_reader.h"

// The file is a protocol buffer; the numbers of the fields are those of sentencepiece_model.proto.
namespace moescope::tokenization {
namespace {

constexpr std::size_t most_pieces = 10'000'000;

Unexpected problem(std::string what) {
  return fail(ErrorKind::input, "the SentencePiece model is broken: " + std::move(what), {},
              "Copy or download the file again");
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// One field of a message: a number, or bytes.
struct Field {
  std::uint64_t number = 0;  // of the field
  std::uint64_t value = 0;   // of wire types 0, 1 and 5
  std::string_view bytes;    // of wire type 2
  unsigned wire = 0;
};

std::optional<std::uint64_t> read_varint(ByteReader& in) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = in.read<std::uint8_t>();
    if (!byte) return std::nullopt;
    out |= (*byte & 0x7FULL) << shift;
    if ((*byte & 0x80U) == 0) return out;
  }
  return std::nullopt;
}

// Calls `use` for each field of a message; false when it is no message or `use` says stop.
bool each_field(std::string_view message, const std::function<bool(const Field&)>& use) {
  ByteReader in(bytes_of(message));
  while (in.remaining() != 0) {
    const auto tag = read_varint(in);
    if (!tag || *tag >> 3U == 0) return false;
    Field field;
    field.number = *tag >> 3U;
    field.wire = static_cast<unsigned>(*tag & 7U);
    if (field.wire == 0) {
      const auto value = read_varint(in);
      if (!value) return false;
      field.value = *value;
    } else if (field.wire == 1) {
      const auto value = in.read<std::uint64_t>();
      if (!value) return false;
      field.value = *value;
    } else if (field.wire == 5) {
      const auto value = in.read<std::uint32_t>();
      if (!value) return false;
      field.value = *value;
    } else if (field.wire == 2) {
      const auto length = read_varint(in);
      const auto bytes = length ? in.take_text(*length) : std::nullopt;
      if (!bytes) return false;
      field.bytes = *bytes;
    } else {
      return false;
    }
    if (!use(field)) return false;
  }
  return true;
}

// A piece is a text (1), a score (2) and a type (3).
Expected<void> check_piece(std::string_view message, std::size_t id) {
  std::string_view text;
  bool finite = true;
  const bool whole = each_field(message, [&](const Field& field) {
    if (field.number == 1 && field.wire == 2) text = field.bytes;
    if (field.number == 2 && field.wire == 5) {
      finite = std::isfinite(__builtin_bit_cast(float, static_cast<std::uint32_t>(field.value)));
    }
    return true;
  });
  if (!whole) return problem(fmt::format("piece {} cannot be read", id));
  if (text.empty() || text.find('\0') != std::string_view::npos || !is_valid_utf8(text)) {
    return problem(fmt::format("piece {} is empty or not UTF-8", id));
  }
  if (!finite) return problem(fmt::format("the score of piece {} is not a number", id));
  return {};
}

// The table of normalisation: the size of a double array, the array of 32-bit units, then texts that end in zero bytes.
// Of a unit, bits 10 to 30 (shifted by 8 more when bit 9 is set) lead to its children, bit 8 says that the child 0
// holds a value. The library follows all of these without looking, so each must stay inside.
bool table_stays_inside(std::string_view table) {
  if (table.empty()) return true;
  ByteReader in(bytes_of(table));
  const auto size = in.read<std::uint32_t>();
  if (!size || *size % 1024 != 0 || *size == 0 || *size >= in.remaining()) return false;
  const std::string_view units = *in.take_text(*size);
  const std::string_view texts = *in.take_text(in.remaining());
  if (texts.back() != '\0') return false;
  const std::size_t count = units.size() / sizeof(std::uint32_t);
  const auto unit_at = [units](std::size_t i) {
    std::uint32_t unit = 0;
    std::memcpy(&unit, units.data() + i * sizeof(unit), sizeof(unit));
    return unit;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t unit = unit_at(i);
    if ((unit & 0x80000000U) != 0) continue;  // a value
    const std::size_t children = i ^ (std::size_t{unit >> 10U} << ((unit & 0x200U) >> 6U));
    if ((children | 0xFFU) >= count) return false;
    if ((unit & 0x100U) != 0 && (unit_at(children) & 0x7FFFFFFFU) >= texts.size()) return false;
  }
  return true;
}

}  // namespace

Expected<SentencePieceFacts> check_sentencepiece(std::string_view model) {
  SentencePieceFacts facts;
  Expected<void> outcome;
  const bool whole = each_field(model, [&](const Field& field) {
    if (field.number == 1 && field.wire == 2) {
      if (facts.pieces >= most_pieces) outcome = problem("it has too many pieces");
      if (outcome) outcome = check_piece(field.bytes, facts.pieces);
      ++facts.pieces;
    } else if (field.number == 2 && field.wire == 2) {
      const bool read = each_field(field.bytes, [&facts](const Field& inner) {
        if (inner.number == 3 && inner.wire == 0) {
          facts.kind = inner.value == 2   ? "BPE"
                       : inner.value == 3 ? "words"
                       : inner.value == 4 ? "characters"
                                          : "unigram";
        }
        if (inner.number == 24 && inner.wire == 0) facts.space_as_suffix = inner.value != 0;
        return true;
      });
      if (!read) outcome = problem("its training settings cannot be read");
    } else if ((field.number == 3 || field.number == 5) && field.wire == 2) {
      const bool first = field.number == 3;
      const bool read = each_field(field.bytes, [&](const Field& inner) {
        if (inner.number == 2 && inner.wire == 2 && !table_stays_inside(inner.bytes)) {
          outcome = problem("its table of normalisation points outside itself");
        }
        if (first && inner.number == 3 && inner.wire == 0) facts.dummy_prefix = inner.value != 0;
        return outcome.has_value();
      });
      if (!read && outcome) outcome = problem("its normalisation cannot be read");
    }
    return outcome.has_value();
  });
  if (!outcome) return fail(outcome.error());
  if (!whole || facts.pieces == 0) return problem("this is not a list of pieces");
  return facts;
}

}  // namespace moescope::tokenization
