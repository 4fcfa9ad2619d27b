// Router logits as named arrays, whatever container they lie in: the common part of the importer of Hugging Face-style
// logits. Private to core/trace/import.
#pragma once

#include <string>
#include <vector>

#include "core/trace/import/importer.h"

namespace moescope {

// Whether these arrays could be router logits: floats, [token, expert] or [batch, position, expert] each, all alike
// (or one stacked array with a layer axis in front), with fewer than 4,097 experts and values that are no counts.
[[nodiscard]] ImportScore score_logits(const std::vector<TensorView>& arrays);
// A RawTrace of them. Names with numbers give the order; "layers.N" gives absolute layers.
[[nodiscard]] Expected<RawTrace> logits_trace(std::vector<TensorView> arrays, const std::string& where);

}  // namespace moescope
