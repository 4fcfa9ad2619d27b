// Normalisation: from what a foreign file has (RawTrace) to what a Trace means, in one place. It decides which layers
// are dense, which tokens the rows belong to, whether ids are logical, whether ranks are in order, what is a sentinel,
// whether "logits" are probabilities, and how many experts there are, from the data, the source's own statements and
// the model where one is given. What cannot be decided stays unknown and is noted. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/import/model_facts.h"
#include "core/trace/import/raw_trace.h"
#include "core/trace/trace.h"

namespace moescope {

struct NormaliseOptions {
  std::optional<ModelFacts> model;
  std::uint32_t k = 0;        // experts per token, for sources with logits only; 0 = from the source or the model
  std::uint32_t experts = 0;  // E; 0 = from the source, the model or the highest id
};

// The outcome: everything about the trace but its columns, and the columns in pieces of any length.
class MOESCOPE_API NormalTrace {
 public:
  struct State;  // private to core/trace/import
  explicit NormalTrace(std::unique_ptr<State> state);
  NormalTrace(NormalTrace&&) noexcept;
  NormalTrace& operator=(NormalTrace&&) noexcept;
  ~NormalTrace();

  [[nodiscard]] const Trace& head() const;  // info, counts, placement; no segments
  [[nodiscard]] std::size_t tokens() const;
  [[nodiscard]] std::size_t values_per_token() const;  // the widest column's, at least 1
  // Tokens [first, first + count) as a segment. Columns are there when any token of the trace has them.
  // Error (input) naming the place of an id that is no expert.
  [[nodiscard]] Expected<std::shared_ptr<const Segment>> segment(std::size_t first, std::size_t count) const;

 private:
  std::unique_ptr<State> state_;
};

// Errors (input): nothing recorded in it; more experts or slots than a trace holds; a model that this was not recorded
// on; logits without any word on k; cancelled.
[[nodiscard]] MOESCOPE_API Expected<NormalTrace> normalise(RawTrace raw, const NormaliseOptions& options,
                                                           const WorkContext& work = {});

}  // namespace moescope
