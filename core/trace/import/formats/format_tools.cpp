#include "core/trace/import/formats/format_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace moescope {
namespace {

constexpr std::size_t records_between_looks = 4096;
constexpr double largest_count = 4503599627370496.0;  // 2^52

bool flatten(const nlohmann::json& json, std::size_t depth, JsonArray& out) {
  if (depth == out.shape.size()) {
    if (!json.is_number()) return false;
    out.values.push_back(json.get<double>());
    return true;
  }
  if (!json.is_array() || json.size() != out.shape[depth]) return false;
  return std::all_of(json.begin(), json.end(), [&](const auto& item) { return flatten(item, depth + 1, out); });
}

}  // namespace

bool JsonArray::whole_numbers() const {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::trunc(v) == v; });
}

std::vector<std::int32_t> JsonArray::integers() const {
  std::vector<std::int32_t> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(), [](double v) {
    const bool fits =
        std::trunc(v) == v && std::abs(v) <= static_cast<double>(std::numeric_limits<std::int32_t>::max());
    return fits ? static_cast<std::int32_t>(v) : -1;
  });
  return out;
}

std::optional<JsonArray> json_array(const nlohmann::json& json, std::size_t dimensions) {
  JsonArray out;
  const nlohmann::json* at = &json;
  for (std::size_t d = 0; d < dimensions; ++d) {
    if (!at->is_array()) return std::nullopt;
    out.shape.push_back(at->size());
    if (at->empty()) {
      out.shape.resize(dimensions, 0);
      return out;
    }
    at = &at->front();
  }
  if (!flatten(json, 0, out)) return std::nullopt;
  return out;
}

const nlohmann::json* first_of(const nlohmann::json& object, std::initializer_list<const char*> keys) {
  if (!object.is_object()) return nullptr;
  for (const char* key : keys) {
    const auto found = object.find(key);
    if (found != object.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

std::optional<std::int64_t> integer_of(const nlohmann::json& object, std::initializer_list<const char*> keys) {
  const nlohmann::json* const value = first_of(object, keys);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() && *value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return value->get<std::int64_t>();
}

Expected<void> each_record(const SourceFile& file, const CsvColumns& columns, std::string& note,
                           std::vector<std::string>& comments, const WorkContext& work,
                           const std::function<std::string(std::span<const std::string_view>)>& use) {
  CsvReader reader(file.text(), file.place());
  std::vector<std::string> fields;
  auto header = reader.next(fields);
  if (!header) return fail(header.error());
  constexpr std::size_t missing = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> places;
  for (std::size_t c = 0; c < columns.names.size(); ++c) {
    const auto found = std::find(fields.begin(), fields.end(), columns.names[c]);
    if (found == fields.end() && c < columns.required) {
      return fail(ErrorKind::input, fmt::format("the table has no column '{}'", columns.names[c]), reader.place(),
                  "Write the table with its header line");
    }
    places.push_back(found == fields.end() ? missing : static_cast<std::size_t>(found - fields.begin()));
  }
  const std::size_t width = fields.size();
  std::vector<std::string_view> asked(places.size());
  for (std::size_t read = 0;; ++read) {
    if (read % records_between_looks == 0) {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      work.report("Reading " + file.name(),
                  0.5 * static_cast<double>(reader.offset()) / static_cast<double>(file.bytes().size()));
    }
    const auto more = reader.next(fields);
    if (more && !*more) break;
    std::string wrong;
    if (!more) {
      wrong = more.error().what;
    } else if (fields.size() != width) {
      wrong = fmt::format("{} fields where the header has {}", fields.size(), width);
    } else {
      for (std::size_t c = 0; c < places.size(); ++c) {
        asked[c] = places[c] == missing ? std::string_view{} : std::string_view(fields[places[c]]);
      }
      wrong = use(asked);
    }
    if (wrong.empty()) continue;
    if (read == 0) return fail(ErrorKind::input, wrong, reader.place(), "Correct the line, or write the table again");
    note = fmt::format("Line {} of {} is broken or cut off ({}); the {} records before it were read.", reader.line(),
                       file.name(), wrong, read);
    break;
  }
  comments = reader.comments();
  return {};
}

bool header_begins(const SourceFile& file, std::string_view names) {
  const std::string_view line = file.first_line();
  return file.kind() == FileKind::text && line.starts_with(names) &&
         (line.size() == names.size() || line[names.size()] == ',');
}

Expected<RawTrace> counts_trace(std::span<const double> values, std::span<const std::uint64_t> shape,
                                const std::string& where) {
  RawTrace out;
  const std::size_t layers = shape[shape.size() - 2];
  out.counts.experts = shape.back();
  out.counts.steps = shape.size() == 3 ? shape[0] : 1;
  out.counts.values.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double n = values[i];
    if (std::isnan(n) || std::trunc(n) != n || n < 0 || n > largest_count) {
      const std::size_t cell = out.counts.experts == 0 ? 0 : i;
      return fail(ErrorKind::input, fmt::format("{} is no count", n),
                  fmt::format("{}, layer {}, expert {}", where,
                              cell / std::max<std::size_t>(1, out.counts.experts) % std::max<std::size_t>(1, layers),
                              cell % std::max<std::size_t>(1, out.counts.experts)),
                  "Counts are whole numbers of 0 or more");
    }
    out.counts.values.push_back(static_cast<std::int64_t>(n));
  }
  out.layers = layers_by_position(layers);
  return out;
}

std::vector<double> tensor_numbers(const TensorView& tensor) {
  RawPlane plane = plane_of(tensor);
  std::vector<double> out;
  out.reserve(tensor.elements());
  const std::size_t rows = plane.width == 0 ? 0 : tensor.elements() / plane.width;
  std::vector<std::int64_t> integers(plane.width);
  std::vector<float> numbers(plane.width);
  const bool floating =
      tensor.type == DType::f16 || tensor.type == DType::bf16 || tensor.type == DType::f32 || tensor.type == DType::f64;
  for (std::size_t r = 0; r < rows; ++r) {
    plane.numbers(r, numbers);
    plane.integers(r, integers);
    for (std::size_t i = 0; i < plane.width; ++i) {
      const bool fraction = floating && std::trunc(numbers[i]) != numbers[i];
      out.push_back(fraction || (floating && integers[i] == -1) ? static_cast<double>(numbers[i])
                                                                : static_cast<double>(integers[i]));
    }
  }
  return out;
}

std::vector<RawLayer> layers_by_position(std::size_t n) {
  std::vector<RawLayer> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i].layer = static_cast<int>(i);
  return out;
}

std::string too_large(const std::string& what) {
  return fmt::format("{} is too large for a table in memory", what);
}

}  // namespace moescope
