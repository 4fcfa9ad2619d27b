#include "core/io/safetensors_header.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/io/safetensors.h"

namespace moescope {
namespace {

using Json = nlohmann::json;

// Receives the events of nlohmann's parser, which keeps its own stack and so does not recurse on the input's depth.
// Returning false stops the parse; problem() then says why.
class HeaderEvents {
 public:
  explicit HeaderEvents(SafetensorsHeader& header) : header_(header) {}

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::optional<std::size_t> json_error_at() const { return json_error_at_; }

  bool null() { return other_value("null"); }
  bool boolean(bool) { return other_value("a boolean"); }
  bool number_integer(Json::number_integer_t) { return other_value("a negative number"); }
  bool number_float(Json::number_float_t, const std::string&) {
    return other_value("a number with a fraction, an exponent or too many digits");
  }
  bool binary(Json::binary_t&) { return other_value("binary data"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    switch (place_) {
      case Place::shape:
        if (entry_.shape.size() >= safetensors_limit::dimensions) {
          return stop(fmt::format("the shape has more than {} dimensions", safetensors_limit::dimensions));
        }
        entry_.shape.push_back(value);
        return true;
      case Place::offsets:
        if (offsets_ >= 2) return stop("data_offsets does not hold exactly two numbers");
        (offsets_ == 0 ? entry_.begin : entry_.end) = value;
        ++offsets_;
        return true;
      default:
        return other_value("a number");
    }
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      if (header_.metadata.size() >= safetensors_limit::metadata_entries) {
        return stop(fmt::format("__metadata__ has more than {} entries", safetensors_limit::metadata_entries));
      }
      if (!header_.metadata.emplace(key_, std::move(value)).second) {
        return stop(fmt::format("__metadata__ has the key '{}' twice", key_));
      }
      return true;
    }
    if (place_ == Place::entry && key_ == "dtype") {
      const auto type = dtype_from_name(value);
      if (!type) return stop(fmt::format("the dtype '{}' is not known", value));
      entry_.type = *type;
      return true;
    }
    return other_value("a string");
  }

  bool start_object(std::size_t) {
    switch (place_) {
      case Place::start:
        place_ = Place::top;
        return true;
      case Place::top:
        if (key_ == "__metadata__") {
          if (seen_metadata_) return stop("__metadata__ occurs twice");
          seen_metadata_ = true;
          place_ = Place::metadata;
          return true;
        }
        if (header_.entries.size() >= safetensors_limit::tensors) {
          return stop(fmt::format("the header lists more than {} tensors", safetensors_limit::tensors));
        }
        entry_ = SafetensorsEntry{};
        entry_.name = key_;
        seen_dtype_ = seen_shape_ = seen_offsets_ = false;
        offsets_ = 0;
        place_ = Place::entry;
        return true;
      default:
        return enter_skipped("an object");
    }
  }

  bool end_object() {
    switch (place_) {
      case Place::metadata:
        place_ = Place::top;
        return true;
      case Place::entry:
        if (!seen_dtype_) return stop("dtype is missing");
        if (!seen_shape_) return stop("shape is missing");
        if (!seen_offsets_) return stop("data_offsets is missing");
        header_.entries.push_back(std::move(entry_));
        entry_ = SafetensorsEntry{};
        place_ = Place::top;
        return true;
      case Place::skipped:
        return leave_skipped();
      default:
        place_ = Place::done;
        return true;
    }
  }

  bool start_array(std::size_t) {
    if (place_ == Place::entry && key_ == "shape") {
      place_ = Place::shape;
      return true;
    }
    if (place_ == Place::entry && key_ == "data_offsets") {
      place_ = Place::offsets;
      return true;
    }
    return enter_skipped("an array");
  }

  bool end_array() {
    if (place_ == Place::skipped) return leave_skipped();
    if (place_ == Place::offsets && offsets_ != 2) return stop("data_offsets does not hold exactly two numbers");
    place_ = Place::entry;
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::skipped) return true;
    if (place_ == Place::entry) {
      bool* const seen = name == "dtype"          ? &seen_dtype_
                         : name == "shape"        ? &seen_shape_
                         : name == "data_offsets" ? &seen_offsets_
                                                  : nullptr;
      if (seen != nullptr && std::exchange(*seen, true)) return stop(fmt::format("{} occurs twice", name));
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    json_error_at_ = position == 0 ? 0 : position - 1;  // the parser counts from 1
    return false;
  }

 private:
  enum class Place { start, top, metadata, entry, shape, offsets, skipped, done };

  // Unknown fields of an entry are ignored; anything else must be what its place asks for.
  [[nodiscard]] bool ignored_field() const {
    return place_ == Place::entry && key_ != "dtype" && key_ != "shape" && key_ != "data_offsets";
  }

  bool other_value(const char* found) {
    if (place_ == Place::skipped || ignored_field()) return true;
    return wrong(found);
  }

  bool enter_skipped(const char* found) {
    if (place_ != Place::skipped && !ignored_field()) return wrong(found);
    if (++skipped_depth_ > safetensors_limit::nesting) return stop("the JSON is nested too deeply");
    place_ = Place::skipped;
    return true;
  }

  bool leave_skipped() {
    if (--skipped_depth_ == 0) place_ = Place::entry;
    return true;
  }

  bool wrong(const char* found) {
    switch (place_) {
      case Place::start:
        return stop(fmt::format("the header is {} where an object was expected", found));
      case Place::top:
        return stop(fmt::format("'{}' is {} where an object was expected", key_, found));
      case Place::metadata:
        return stop(fmt::format("__metadata__ '{}' is {} where a string was expected", key_, found));
      case Place::shape:
        return stop(fmt::format("the shape holds {} where whole numbers were expected", found));
      case Place::offsets:
        return stop(fmt::format("data_offsets holds {} where whole numbers were expected", found));
      default:
        return stop(fmt::format("{} is {}, which it may not be", key_, found));
    }
  }

  bool stop(std::string reason) {
    const bool in_entry =
        place_ == Place::entry || place_ == Place::shape || place_ == Place::offsets || place_ == Place::skipped;
    problem_ = in_entry ? fmt::format("tensor '{}': {}", entry_.name, reason) : std::move(reason);
    return false;
  }

  SafetensorsHeader& header_;
  Place place_ = Place::start;
  std::string key_;
  SafetensorsEntry entry_;
  int offsets_ = 0;
  std::size_t skipped_depth_ = 0;
  bool seen_metadata_ = false, seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
  std::string problem_;
  std::optional<std::size_t> json_error_at_;
};

}  // namespace

Expected<SafetensorsHeader> parse_safetensors_header(std::string_view json, const std::string& file) {
  constexpr const char* advice = "Copy or download the file again";
  constexpr std::size_t text_offset = 8;
  // The parser would take a zero byte for the end of the text and skip a byte order mark; the format has neither.
  if (const auto zero = json.find('\0'); zero != std::string_view::npos) {
    return fail(ErrorKind::input, "the header holds a zero byte", fmt::format("{}, byte {}", file, text_offset + zero),
                advice);
  }
  if (json.starts_with("\xEF\xBB\xBF")) {
    return fail(ErrorKind::input, "the header begins with a byte order mark", fmt::format("{}, byte 8", file), advice);
  }
  SafetensorsHeader header;
  HeaderEvents events(header);
  try {
    if (Json::sax_parse(json.begin(), json.end(), &events)) return header;
  } catch (const std::exception& error) {
    return fail(ErrorKind::input, fmt::format("the header cannot be read: {}", error.what()), file, advice);
  }
  if (events.json_error_at()) {
    return fail(ErrorKind::input, "the header is not valid UTF-8 JSON",
                fmt::format("{}, byte {}", file, text_offset + *events.json_error_at()), advice);
  }
  return fail(ErrorKind::input, "the header is not that of a safetensors file: " + events.problem(), file, advice);
}

}  // namespace moescope
