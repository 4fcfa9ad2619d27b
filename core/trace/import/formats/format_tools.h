// What the importers of text formats share: CSV with named columns, nested JSON lists as arrays, owned tensors.
// Private to core/trace/import.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/io/csv.h"
#include "core/io/tensor_view.h"
#include "core/trace/import/importer.h"
#include "core/trace/import/source_file.h"

namespace moescope {

// A tensor that owns its numbers.
template <typename T>
[[nodiscard]] TensorView own_tensor(std::vector<T> values, DType type, std::vector<std::uint64_t> shape) {
  auto block = std::make_shared<const std::vector<T>>(std::move(values));
  TensorView out;
  out.type = type;
  out.shape = std::move(shape);
  out.bytes = std::as_bytes(std::span<const T>(*block));
  out.owner = block;
  return out;
}

// A nested list of numbers, all of one shape. Lists of fewer than `dimensions` levels or ragged ones are not.
struct JsonArray {
  std::vector<std::uint64_t> shape;
  std::vector<double> values;
  [[nodiscard]] bool whole_numbers() const;
  [[nodiscard]] std::vector<std::int32_t> integers() const;  // what is no whole number of 32 bits becomes -1
};
[[nodiscard]] std::optional<JsonArray> json_array(const nlohmann::json& json, std::size_t dimensions);

// The first of several keys that an object has; null when it has none of them.
[[nodiscard]] const nlohmann::json* first_of(const nlohmann::json& object, std::initializer_list<const char*> keys);
// A whole number under the first of several keys.
[[nodiscard]] std::optional<std::int64_t> integer_of(const nlohmann::json& object,
                                                     std::initializer_list<const char*> keys);

// A CSV with a header line. `use` gets the fields of the asked columns, in the order asked; a column that is missing
// gives an empty field, and one of the first `required` that is missing is an error. A record that does not parse, or
// that `use` refuses (it says why), ends the reading: what came before is kept, with a note; the first one is an error.
struct CsvColumns {
  std::vector<std::string> names;
  std::size_t required = 0;
};
[[nodiscard]] Expected<void> each_record(const SourceFile& file, const CsvColumns& columns, std::string& note,
                                         std::vector<std::string>& comments, const WorkContext& work,
                                         const std::function<std::string(std::span<const std::string_view>)>& use);
// Whether the first line of a text has just these comma-separated names, whatever follows them.
[[nodiscard]] bool header_begins(const SourceFile& file, std::string_view names);

// Counts [layer, expert] or [step, layer, expert] as a RawTrace with nothing else, from numbers in row-major order.
// Error (input) for a fraction, a negative or too large a count.
[[nodiscard]] Expected<RawTrace> counts_trace(std::span<const double> values, std::span<const std::uint64_t> shape,
                                              const std::string& where);
// Numbers of a tensor of any plain type as doubles.
[[nodiscard]] std::vector<double> tensor_numbers(const TensorView& tensor);
// Layers 0..n-1, whose numbers are positions.
[[nodiscard]] std::vector<RawLayer> layers_by_position(std::size_t n);
[[nodiscard]] std::string too_large(const std::string& what);

}  // namespace moescope
