// The class behind normalise(): decides step by step, and writes what it decided into the state and the info. Its
// methods are in normalise.cpp (order of steps, tokens, scores, columns), normalise_layers.cpp (which layers are
// routers) and normalise_experts.cpp (ids, order of ranks, counts). Private to core/trace/import; one thread.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/trace/import/normal_trace.h"
#include "core/trace/import/normalise.h"
#include "core/trace/import/row_statistics.h"

namespace moescope {

class Normaliser {
 public:
  Normaliser(RawTrace raw, const NormaliseOptions& options, const WorkContext& work)
      : options_(options), work_(work), state_(std::make_unique<NormalTrace::State>()) {
    state_->raw = std::move(raw);
  }

  // Every step in order; the first error ends it.
  Expected<std::unique_ptr<NormalTrace::State>> run();

 private:
  [[nodiscard]] RawTrace& raw() { return state_->raw; }
  void note(std::string text) { info_.notes.push_back(std::move(text)); }
  [[nodiscard]] bool has_ids() const {
    return std::any_of(state_->raw.pieces.begin(), state_->raw.pieces.end(),
                       [](const RawPiece& piece) { return !piece.ids.empty(); });
  }
  [[nodiscard]] bool has_logits() const {
    return std::any_of(state_->raw.pieces.begin(), state_->raw.pieces.end(),
                       [](const RawPiece& piece) { return !piece.logits.empty(); });
  }
  void approximate(std::string why) {
    if (!info_.approximate) info_.approximate = std::move(why);
  }

  Expected<void> look();
  // Which tokens of a sequence the rows belong to: the last sampled token is never run, and a start may be stated.
  Expected<void> match_tokens();
  Expected<void> decide_scores();
  // Absolute layers, and which of the axis are routers at all.
  Expected<void> find_layers();
  // With a model: by the number of layers, all of them or those with experts. Without: the positions.
  Expected<void> place_layers(std::vector<bool>& dense);
  // E of every row: told, else from the placement, the logits or counts, else the highest id of all rows.
  Expected<void> count_experts();
  // Logical or physical, fillers, shared experts among the ids, and how many a token has.
  Expected<void> decide_ids();
  Expected<void> decide_order();
  // Counts [step, row, expert] of the rows that are routers, logical where a map is there, without empty steps.
  Expected<void> take_counts();
  // Slots, k of each row, columns, tags.
  Expected<void> lay_out();
  // Filled slots when fillers and shared experts are left out.
  std::size_t most_filled(std::size_t r);
  void finish();
  // The map of the rows that are routers.
  void keep_placement();
  [[nodiscard]] bool counted(std::size_t layer) const;

  const NormaliseOptions& options_;
  const WorkContext& work_;
  std::unique_ptr<NormalTrace::State> state_;
  std::vector<LayerStatistics> statistics_;
  TraceInfo info_;
};

}  // namespace moescope
