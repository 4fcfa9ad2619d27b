// Joining a trace with its model afterwards: names, rule, shared experts, layers and token texts. Called by imports of
// MoEScope's own traces and by the workbench. Pure, any thread.
#pragma once

#include <cstddef>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/trace/import/importer.h"
#include "core/trace/trace.h"

namespace moescope {

// Different token ids for which texts are looked up; beyond any vocabulary.
constexpr std::size_t token_texts_limit = 1'000'000;

// The trace with what the options know of its model. Columns are shared, not copied. Layers are set where the trace
// only numbered its rows. Error (input) when the model cannot be the trace's: other experts or too few layers.
[[nodiscard]] MOESCOPE_API Expected<Trace> attach_model(Trace trace, const ImportOptions& options);

}  // namespace moescope
