// What a run will do, checked against the model before anything is computed: which sequences, in which batches, with
// which hooks at which layer, and the rows of the trace. Made once per run by the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/engine/engine.h"
#include "core/engine/routers.h"
#include "core/model/model_spec.h"
#include "core/trace/trace.h"

namespace moescope::torch_engine {

// The hooks of one layer, merged. Later hooks win over earlier ones of the same kind.
struct LayerHooks {
  std::shared_ptr<const Router> router;  // null = the model's own rule, untouched
  bool own_rule = true;                  // false once the router was replaced
  std::vector<float> bias;               // [E] added to the logits, −infinity where masked; empty = nothing
  std::vector<std::uint32_t> force;
  std::vector<float> scale;               // [E] factor on each expert's output; empty = all 1
  std::vector<std::uint32_t> weights_of;  // [E] whose weights an expert uses; empty = its own
  std::optional<double> capacity;
  bool skip = false;
};

// A sequence that runs: its number in the request and the place of its tokens in the trace.
struct PlannedSequence {
  std::size_t input = 0;
  std::size_t first_token = 0, length = 0;
  // Of a model with an encoder: that many of the tokens are the encoder's, the others (what the decoder reads) follow.
  std::size_t encoder = 0;
  std::vector<std::int32_t> decoder_ids = {};
};
// Names of the token streams of a model with an encoder, in the order of their codes in the trace.
inline const std::vector<std::string> stream_names{"encoder", "decoder"};

// Neighbouring sequences that go through all layers together and become one segment of the trace. One group unless
// what is held for it (hidden states, recorded columns) would take too much memory.
struct SequenceGroup {
  std::size_t first_sequence = 0, sequences = 0;
  std::size_t first_token = 0, tokens = 0;
  std::vector<std::vector<std::size_t>> batches;  // indices into RunPlan::sequences, similar lengths together
};

struct RunPlan {
  std::vector<PlannedSequence> sequences;  // in the request's order, empty ones left out
  std::size_t tokens = 0;
  std::vector<SequenceGroup> groups;
  std::vector<LayerHooks> layers;   // one per layer of the model
  std::vector<RouterRow> rows;      // one per layer that has experts, in order
  std::vector<std::size_t> row_of;  // [layers] the row of a layer; rows.size() where it has none
  std::size_t slots = 0;            // most slots of any row
  bool batch_per_thread = false;    // the model is narrow: a thread runs a whole batch, not a share of each product
  bool expert_choice = false;
  bool streams = false;      // the model has an encoder: tokens are its or the decoder's
  bool used_varies = false;  // some token may fill fewer slots than there are
  bool has_capacity = false, has_margin = false;
  std::vector<std::string> notes;
};

// Plans the group's batches anew, at most half as large as the largest now. False when each is one sequence already.
[[nodiscard]] bool halve_batches(const RunPlan& plan, SequenceGroup& group);

// Errors: input for ids outside the vocabulary, usage for hooks that do not fit the model and requests without tokens.
[[nodiscard]] Expected<RunPlan> plan_run(const RunRequest& request, const ModelSpec& spec);

}  // namespace moescope::torch_engine
