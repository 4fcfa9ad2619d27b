// Where a GGUF file keeps each weight of a model, and what its converter changed. Called by Checkpoint when a GGUF file
// is opened; pure, any thread.
#pragma once

#include <string>

#include "core/io/gguf.h"
#include "core/model/families/family.h"
#include "core/model/model_spec.h"
#include "core/model/weight_names.h"

namespace moescope {

// The names, chosen among the layouts that converters wrote by the tensors that are there.
[[nodiscard]] WeightNames gguf_weight_names(const ModelSpec& spec, const HasTensor& has);

// What the converter of this architecture changed: where it permuted the rows of q and k, pairs of neighbours rotate.
void follow_gguf_conversion(const GgufFile& file, ModelSpec& spec);

}  // namespace moescope
