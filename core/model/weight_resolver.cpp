#include "core/model/weight_resolver.h"

#include <fmt/format.h>

#include "core/io/tensor_decode.h"

namespace moescope {
namespace {

using Tensors = std::map<std::string, TensorView>;

Expected<TensorView> tensor_called(const Tensors& tensors, const std::string& name) {
  const auto it = tensors.find(name);
  if (it != tensors.end()) return it->second;
  return fail(ErrorKind::input, "the checkpoint lacks a tensor", name, "Check that the folder is complete");
}

// Adds the scales of F8 weights. `matrix` is the number of the matrix in a stack, which has `stacked_rows` rows, of
// which the slice begins at `first_row`.
Expected<WeightSlice> with_scales(WeightSlice slice, const ModelSpec& spec, const WeightNames& names,
                                  const Tensors& tensors, const std::string& name, std::uint64_t matrix,
                                  std::uint64_t stacked_rows, std::uint64_t first_row) {
  if (!is_f8(slice.tensor.type)) return slice;
  auto scales = tensor_called(tensors, name + names.scale_suffix);
  if (!scales) return fail(std::move(scales.error()));
  slice.coding = WeightSlice::Coding::scaled_tiles;
  slice.block_rows = spec.block_rows;
  slice.block_columns = spec.block_columns;
  const auto tiles = [](std::uint64_t n, std::uint64_t size) { return (n + size - 1) / size; };
  const std::uint64_t per_row = tiles(slice.columns, slice.block_columns);
  if (first_row % slice.block_rows != 0) {
    return fail(ErrorKind::input, "a part of a fused weight begins inside a tile of scales", name,
                "Open a checkpoint in which gate and up are separate, or unquantised");
  }
  slice.first_scale = matrix * tiles(stacked_rows, slice.block_rows) * per_row + first_row / slice.block_rows * per_row;
  slice.scale_count = tiles(slice.rows, slice.block_rows) * per_row;
  slice.scales = std::move(*scales);
  return slice;
}

// The part of a stack of all experts.
Expected<WeightSlice> expert_slice(const ModelSpec& spec, const WeightNames& names, const Tensors& tensors,
                                   const WeightUse& use) {
  using S = ExpertStorage;
  const bool up = use.role == WeightRole::expert_up || use.role == WeightRole::expert_up_bias;
  const bool down = use.role == WeightRole::expert_down || use.role == WeightRole::expert_down_bias;
  const bool bias = use.role == WeightRole::expert_gate_bias || use.role == WeightRole::expert_up_bias ||
                    use.role == WeightRole::expert_down_bias;
  const bool mixed = names.experts != S::stacked && names.experts != S::rows_of_all;  // gate and up in one tensor
  const bool fused = mixed && !down;
  const bool interleaved =
      fused && (names.experts == S::fused_rows_interleaved || names.experts == S::fused_columns_interleaved);
  const bool columns_first =
      !bias && (names.experts == S::fused_columns || names.experts == S::fused_columns_interleaved ||
                (names.experts == S::rows_of_all && down));
  WeightRole held = use.role;  // the role whose name the tensor has
  if (fused) held = bias ? WeightRole::expert_gate_bias : WeightRole::expert_gate;
  std::string name = weight_name(spec, names, held, use.layer, use.expert);

  WeightSlice slice;
  slice.rows = use.rows;
  slice.columns = use.columns;
  const std::uint64_t all_rows = use.rows * (fused ? 2 : 1);  // of one expert in the tensor
  const std::uint64_t offset = fused && up ? (interleaved ? 1 : use.rows) : 0;
  const std::uint64_t step = interleaved ? 2 : 1;
  if (columns_first) {
    slice.first = use.expert * all_rows * use.columns + offset;
    slice.row_stride = step;
    slice.column_stride = all_rows;
  } else {
    slice.first = (use.expert * all_rows + offset) * use.columns;
    slice.row_stride = step * use.columns;
    slice.column_stride = 1;
  }
  if (!names.blocks_suffix.empty() && !bias) {
    auto codes = tensor_called(tensors, name + names.blocks_suffix);
    if (!codes) return fail(std::move(codes.error()));
    auto scales = tensor_called(tensors, name + names.scales_suffix);
    if (!scales) return fail(std::move(scales.error()));
    slice.coding = WeightSlice::Coding::mxfp4;
    slice.tensor = std::move(*codes);
    slice.scales = std::move(*scales);
    return slice;
  }
  auto tensor = tensor_called(tensors, name);
  if (!tensor) return fail(std::move(tensor.error()));
  slice.tensor = std::move(*tensor);
  return with_scales(std::move(slice), spec, names, tensors, name, use.expert, all_rows, offset);
}

}  // namespace

Expected<WeightSlice> resolve_weight(const ModelSpec& spec, const WeightNames& names, const Tensors& tensors,
                                     const WeightUse& use) {
  if (is_expert_role(use.role) && names.experts != ExpertStorage::per_expert) {
    return expert_slice(spec, names, tensors, use);
  }
  const std::string name = weight_name(spec, names, use.role, use.layer, use.expert);
  auto tensor = tensor_called(tensors, name);
  if (!tensor) return fail(std::move(tensor.error()));
  WeightSlice slice;
  slice.tensor = std::move(*tensor);
  slice.rows = use.rows;
  slice.columns = use.columns;
  slice.row_stride = use.columns;
  std::uint64_t first_row = 0;
  if (names.fused_qkv && (use.role == WeightRole::k || use.role == WeightRole::v)) {
    first_row = std::uint64_t{spec.heads} * spec.head_dim + (use.role == WeightRole::v ? use.rows : 0);
  }
  if (names.fused_shared && use.role == WeightRole::shared_up) first_row = use.rows;
  slice.first = first_row * use.columns;
  return with_scales(std::move(slice), spec, names, tensors, name, 0, use.rows, first_row);
}

Expected<WeightSlice> resolve_latent_head(const ModelSpec& spec, const WeightNames& names, const Tensors& tensors,
                                          std::uint32_t layer, std::uint32_t head, bool values) {
  const LatentAttention& a = spec.latent;
  const std::string name = tensor_name(values ? names.v_b : names.k_b, layer);
  auto tensor = tensor_called(tensors, name);
  if (!tensor) return fail(std::move(tensor.error()));
  WeightSlice slice;
  slice.tensor = std::move(*tensor);
  slice.columns = a.kv_rank;
  slice.rows = values ? a.value_dim : a.nope_dim;
  slice.first = head * slice.elements();
  slice.row_stride = values ? slice.columns : 1;
  slice.column_stride = values ? 1 : slice.rows;
  return slice;
}

}  // namespace moescope
