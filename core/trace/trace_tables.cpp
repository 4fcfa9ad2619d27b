#include "core/trace/trace_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/trace/trace_columns.h"
#include "core/trace/trace_tensors.h"

namespace moescope {
namespace {

constexpr std::size_t checked_counts = std::size_t{1} << 22U;

}  // namespace

Expected<std::map<std::int32_t, std::string>> vocabulary_of(const TensorView& ids, const TensorView& offsets,
                                                            const TensorView& bytes) {
  if (auto ok = expect_type(offsets, {DType::i64}); !ok) return fail(ok.error());
  if (auto ok = expect_type(bytes, {DType::u8}); !ok) return fail(ok.error());
  const auto id_values = int_column_of(ids, false);
  if (!id_values) return fail(id_values.error());
  if (auto ok = expect_shape(offsets, {id_values->size() + 1}); !ok) return fail(ok.error());
  const auto ends = column_of<std::int64_t>(offsets);
  const auto text = column_of<std::uint8_t>(bytes);
  std::map<std::int32_t, std::string> out;
  for (std::size_t i = 0; i < id_values->size(); ++i) {
    if (ends[i] < 0 || ends[i + 1] < ends[i] || static_cast<std::uint64_t>(ends[i + 1]) > text.size()) {
      return tensor_problem(offsets, fmt::format("entry {} is not a range of vocab.bytes", i));
    }
    const auto range =
        text.values.subspan(static_cast<std::size_t>(ends[i]), static_cast<std::size_t>(ends[i + 1] - ends[i]));
    out.emplace((*id_values)[i], std::string(range.begin(), range.end()));
  }
  return out;
}

Expected<ExpertCounts> counts_of(const TensorView& tensor, const std::vector<RouterRow>& rows) {
  std::uint32_t emax = 0;
  for (const RouterRow& row : rows) emax = std::max(emax, row.experts);
  if (auto ok = expect_type(tensor, {DType::i64}); !ok) return fail(ok.error());
  if (tensor.shape.size() != 3 || tensor.shape[2] < emax || tensor.shape[1] < rows.size()) {
    return tensor_problem(tensor, fmt::format("the shape is {} where [step, {}, {}] was expected",
                                              shape_text(tensor.shape), rows.size(), emax));
  }
  ExpertCounts out{tensor.shape[0], tensor.shape[1], tensor.shape[2], column_of<std::int64_t>(tensor)};
  const auto first = out.values.values.first(std::min(out.values.size(), checked_counts));
  if (std::any_of(first.begin(), first.end(), [](std::int64_t n) { return n < 0; })) {
    return tensor_problem(tensor, "a count is negative");
  }
  return out;
}

Expected<PlacementMap> placement_of(const TensorView& tensor, const std::vector<RouterRow>& rows) {
  if (tensor.shape.size() != 3 || tensor.shape[1] < rows.size()) {
    return tensor_problem(tensor, "the shape is not [epoch, row, P]");
  }
  auto values = int_column_of(tensor, false);
  if (!values) return fail(values.error());
  PlacementMap out{tensor.shape[0], tensor.shape[1], tensor.shape[2], std::move(*values)};
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    const std::size_t row = i / out.physical % out.rows;
    if (row < rows.size() && (out.values[i] < -1 || out.values[i] >= static_cast<std::int64_t>(rows[row].experts))) {
      return tensor_problem(tensor, fmt::format("entry {} is no expert of row {}", i, row));
    }
  }
  return out;
}

}  // namespace moescope
