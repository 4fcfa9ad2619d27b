// From a weight's role to the slice of a tensor that holds it. Internal to core/model; the tensors were checked against
// the spec when the checkpoint was opened.
#pragma once

#include <map>
#include <string>

#include "core/base/error.h"
#include "core/io/tensor_view.h"
#include "core/model/weight_names.h"
#include "core/model/weight_slice.h"

namespace moescope {

// The slice of `use`, which comes from for_each_weight(). Where the latent projection kv_b is stored as two tensors,
// `head` and `values` choose the part. Error (input): a tensor or its scales are missing.
[[nodiscard]] Expected<WeightSlice> resolve_weight(const ModelSpec& spec, const WeightNames& names,
                                                   const std::map<std::string, TensorView>& tensors,
                                                   const WeightUse& use);

// Keys (or values) of one head of a kv_b that is stored as two tensors: [nope, kv_rank] (or [value, kv_rank]).
[[nodiscard]] Expected<WeightSlice> resolve_latent_head(const ModelSpec& spec, const WeightNames& names,
                                                        const std::map<std::string, TensorView>& tensors,
                                                        std::uint32_t layer, std::uint32_t head, bool values);

}  // namespace moescope
