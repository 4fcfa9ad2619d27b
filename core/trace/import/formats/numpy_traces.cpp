// Traces that are one NumPy array:
//   ExFlow       trace.npy, whole numbers [tokens, MoE layers]: the one expert of each token
//   MoE-Infinity floats [capacity, layers, experts]: counts per sequence; entries of zeros only are empty
#include <fmt/format.h>

#include <algorithm>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::numpy_traces {
namespace {

constexpr std::size_t looked_at = 4096;
constexpr std::size_t cells_limit = std::size_t{1} << 26U;

ImportScore score_exflow(SourceFile& file) {
  if (file.kind() != FileKind::npy || !file.npy()) return {};
  const TensorView& array = file.npy()->tensor;
  if (array.shape.size() != 2 || !is_integer(array.type) || array.shape[1] > 1024 || array.elements() == 0) return {};
  const RawPlane plane = plane_of(array);
  std::vector<std::int64_t> ids(plane.width);
  for (std::size_t t = 0; t < std::min<std::size_t>(array.shape[0], looked_at); ++t) {
    plane.integers(t, ids);
    if (std::any_of(ids.begin(), ids.end(), [](std::int64_t id) { return id < 0 || id >= 4096; })) return {};
  }
  // Few rows may just as well be layers of a table of counts.
  return {array.shape[0] <= 256 ? 50 : 65, "an array [token, layer] of small whole numbers"};
}

Expected<RawTrace> read_exflow(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  RawTrace out;
  out.order = RawOrder::ranked;
  for (const auto& file : files) {
    if (file->kind() != FileKind::npy)
      return fail(ErrorKind::input, "this is no .npy array", file->place(), "Choose another --format");
    if (!file->npy()) return fail(file->npy().error());
    const NpyArray& array = *file->npy();
    if (array.tensor.shape.size() != 2 || !is_integer(array.tensor.type) || array.tensor.elements() == 0) {
      return fail(ErrorKind::input, "the array is not whole numbers [token, layer]", file->place(),
                  "Choose another --format");
    }
    if (array.missing_bytes > 0) {
      out.notes.push_back(
          fmt::format("{} is cut off by {} bytes; its whole tokens were read.", file->name(), array.missing_bytes));
    }
    RawPiece piece;
    piece.tokens = array.tensor.shape[0];
    piece.ids = grid_of(array.tensor, RawAxes::token_layer_item);
    if (out.layers.size() < array.tensor.shape[1]) out.layers = layers_by_position(array.tensor.shape[1]);
    out.pieces.push_back(std::move(piece));
  }
  for (RawLayer& layer : out.layers) layer.k = 1;
  return out;
}

ImportScore score_moe_infinity(SourceFile& file) {
  if (file.kind() != FileKind::npy || !file.npy()) return {};
  const TensorView& array = file.npy()->tensor;
  if (array.shape.size() != 3 || (array.type != DType::f32 && array.type != DType::f64) || array.elements() == 0)
    return {};
  TensorView head = array;
  head.shape = {std::min<std::uint64_t>(array.shape[0] * array.shape[1], looked_at), array.shape[2]};
  const auto values = tensor_numbers(head);
  const bool counts = std::all_of(values.begin(), values.end(), [](double v) {
    return v >= 0 && v == static_cast<double>(static_cast<std::int64_t>(v));
  });
  if (!counts) return {};
  return {75, "an array [sequence, layer, expert] of whole numbers kept as floats"};
}

Expected<RawTrace> read_moe_infinity(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  SourceFile& file = *files.front();
  if (files.size() > 1)
    return fail(ErrorKind::usage, "several arrays of counts cannot become one trace", files[1]->place(),
                "Import one at a time");
  if (file.kind() != FileKind::npy)
    return fail(ErrorKind::input, "this is no .npy array", file.place(), "Choose another --format");
  if (!file.npy()) return fail(file.npy().error());
  const TensorView& array = file.npy()->tensor;
  if (array.shape.size() != 3 || array.elements() > cells_limit || array.elements() == 0) {
    return fail(ErrorKind::input, "the array is not [sequence, layer, expert]", file.place(),
                "Choose another --format");
  }
  auto out = counts_trace(tensor_numbers(array), array.shape, file.place());
  if (!out) return out;
  if (file.npy()->missing_bytes > 0) {
    out->notes.push_back(
        fmt::format("The array is cut off by {} bytes; its whole sequences were read.", file.npy()->missing_bytes));
  }
  out->notes.emplace_back("The steps of this trace are sequences: counts per sequence, not per token.");
  return out;
}

const RegisterImporter exflow{
    {"exflow", "ExFlow trace", ".npy [tokens, layers] of one expert each (ExFlow)", score_exflow, read_exflow}};
const RegisterImporter moe_infinity{{"moe-infinity", "MoE-Infinity expert activation matrices",
                                     ".npy [sequences, layers, experts] of counts kept as floats (MoE-Infinity)",
                                     score_moe_infinity, read_moe_infinity}};

}  // namespace
}  // namespace moescope::numpy_traces
