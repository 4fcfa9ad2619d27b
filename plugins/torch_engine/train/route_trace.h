// Records how a trained model routes the held-out text, as a trace. Used by moescope-train --evaluate; one thread.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/trace/trace.h"
#include "plugins/torch_engine/train/corpus.h"
#include "plugins/torch_engine/train/load_model.h"

namespace moescope::train {

struct RouteTraceOptions {
  bool compact = false;  // float16 gate weights and no losses, for traces of training steps
  std::string name;      // of the trace
  std::string notes;     // where the text is from, which step
};

// One sequence per document, tagged with its domain. The loss of a token is that of the next one, as engines record it.
// Errors (input): no text.
[[nodiscard]] Expected<Trace> record_routes(const LoadedModel& model, const std::vector<Document>& documents,
                                            const RouteTraceOptions& options);

}  // namespace moescope::train
