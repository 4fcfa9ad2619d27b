// RawTrace: what an importer found in a foreign file, as the file has it: layer axes with or without dense layers, ids
// logical or physical, sentinels, unknown orders. normalise() turns it into a Trace. Arrays stay where they lie
// (mapped, decoded or parsed) and are described by strides. Plain data: any thread may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/io/tensor_view.h"
#include "core/trace/trace.h"

namespace moescope {

// Numbers [token, item] of one layer: `width` items a token, strides in bytes. Bytes may lie at any address.
struct RawPlane {
  DType type = DType::i32;
  std::span<const std::byte> bytes;
  std::size_t offset = 0, token_stride = 0, item_stride = 0;
  std::size_t width = 0;
  std::shared_ptr<const void> owner;

  // Item values of a token. Whole numbers beyond 2^53 in floating types, fractions and NaN become -1 as integers.
  MOESCOPE_API void integers(std::size_t token, std::span<std::int64_t> out) const;
  MOESCOPE_API void numbers(std::size_t token, std::span<float> out) const;
  // How many tokens lie wholly within the bytes.
  [[nodiscard]] MOESCOPE_API std::size_t whole_tokens() const;
};

// One plane per layer of the source's layer axis; a plane of width 0 = this layer has none.
struct RawGrid {
  std::vector<RawPlane> layers;
  [[nodiscard]] bool empty() const { return layers.empty(); }
  // The plane of a layer, null when there is none.
  [[nodiscard]] const RawPlane* at(std::size_t layer) const {
    return layer < layers.size() && layers[layer].width > 0 ? &layers[layer] : nullptr;
  }
};

// Which axis of a 3-D array is which.
enum class RawAxes : std::uint8_t { layer_token_item, token_layer_item, token_item_layer };
// Planes of a tensor with three axes (two: one item). Its bytes must be whole.
[[nodiscard]] MOESCOPE_API RawGrid grid_of(const TensorView& tensor, RawAxes axes);
// The plane of a tensor [token, item]; leading axes in front are taken together as tokens.
[[nodiscard]] MOESCOPE_API RawPlane plane_of(const TensorView& tensor);

// Tokens that were recorded together and alike. Facts are empty or have one entry per token, -1 = not known.
struct RawPiece {
  std::size_t tokens = 0;
  RawGrid ids, weights, logits;
  std::map<std::string, RawGrid> slot_values;  // by slot, like weights
  std::vector<std::int32_t> token_ids, sequence_ids, positions, steps, ranks;
  std::vector<std::uint8_t> phases;  // 0 prefill, 1 decode, 255 not known
  // For a piece that is one sequence: the ids of its whole text, and the position of the first recorded token if the
  // source states it. normalise() finds by the number of rows which of them were recorded.
  std::vector<std::int32_t> sequence_tokens;
  std::optional<std::size_t> first_position;
  std::map<std::string, std::string> tags;  // of all its tokens
  bool empty_is_cached = false;             // a token without ids at any layer is a cached prefix
};

struct RawLayer {
  int layer = 0;  // absolute, or the position on the layer axis (see RawTrace::layers_absolute)
  std::string block = "decoder", site = "mlp";
  std::uint32_t experts = 0, k = 0, shared = 0;  // 0 = the source does not say
};

// Counts [step, layer, expert] of the source.
struct RawCounts {
  std::size_t steps = 0, experts = 0;
  std::vector<std::int64_t> values;
  bool physical = false;
  [[nodiscard]] bool empty() const { return values.empty(); }
};

enum class RawScores : std::uint8_t { raw, probabilities, not_told };
enum class RawOrder : std::uint8_t { ranked, not_ranked, not_told };

struct RawTrace {
  std::string tool;  // "SGLang expert distribution recorder"
  std::string model_name, model_family, compute_type, weight_kind;
  std::vector<RawLayer> layers;  // the layer axis of all pieces and counts
  // True: `layer` is the model's own number. False: only the position on the axis is known, and whether dense layers
  // are on it shows in the data or in the model.
  bool layers_absolute = false;
  bool physical_ids = false;
  PlacementMap placement;  // [epoch, layer axis, physical id]; empty = the source has none
  RawOrder order = RawOrder::not_told;
  RawScores scores = RawScores::not_told;
  std::vector<RawPiece> pieces;
  RawCounts counts;
  std::vector<std::string> notes;
  std::optional<std::string> approximate;
  // Slots that the source always writes, whatever k is (SGLang writes 8 per token): a model with more is cut.
  std::uint32_t slots_written = 0;
  std::size_t source_bytes = 0;  // of all files; bounds what a trace may become
};

// Grows [layer, token, slot] numbers from records in any order, and gives them as a RawGrid. Cells never set are -1
// (integers) or NaN (numbers).
template <typename T>
class RawTable {
 public:
  // `source_bytes` is the size of the file: a small file may not ask for a large table.
  explicit RawTable(std::size_t source_bytes = 0);
  // False when the table would pass its limit; the cell is then not set.
  bool set(std::size_t layer, std::size_t token, std::size_t slot, T value);
  [[nodiscard]] std::size_t layers() const { return planes_.size(); }
  [[nodiscard]] std::size_t tokens() const { return tokens_; }
  [[nodiscard]] bool empty() const { return planes_.empty(); }
  // The grid with that many tokens: of several tables, each may have been set up to another one. Empty afterwards.
  [[nodiscard]] RawGrid take(std::size_t tokens);

 private:
  struct Plane {
    std::size_t slots = 0;
    std::vector<T> values;  // [token, slots]
  };
  std::vector<Plane> planes_;
  std::size_t tokens_ = 0, slots_ = 0;  // of all planes together
  std::size_t limit_ = 0;               // values of the finished grid
};
extern template class RawTable<std::int32_t>;
extern template class RawTable<float>;

}  // namespace moescope
