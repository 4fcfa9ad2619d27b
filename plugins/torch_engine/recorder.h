// The record hook: columns of one segment of the trace, filled batch by batch while the model runs, in recorded order.
// Used by the forward pass. Different batches may be recorded by different threads at once: their tokens are disjoint.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/engine/engine.h"
#include "core/trace/trace.h"
#include "plugins/torch_engine/blocks/moe.h"
#include "plugins/torch_engine/output_sampler.h"
#include "plugins/torch_engine/record_sink.h"
#include "plugins/torch_engine/run_plan.h"

namespace moescope::torch_engine {

class Recorder : public RecordSink {
 public:
  // For `group` of `plan`. `sampler` outlives the recorder; null = no outputs are sampled.
  Recorder(const RecordOptions& options, const RunPlan& plan, const SequenceGroup& group, std::size_t vocabulary,
           OutputSampler* sampler);

  void row(std::size_t row, const TokenRuns& runs, const RowDecision& decision) override;
  void skipped_row(std::size_t row, const TokenRuns& runs) override;
  void expert_outputs(std::size_t row, const TokenRuns& runs, const blocks::Dispatch& dispatch,
                      const at::Tensor& outputs) override;
  void tokens(const TokenRuns& runs, std::size_t first, std::span<const float> losses,
              const at::Tensor& logits) override;

  // Hands over the columns that are indexed by row and token; the caller adds those of the request.
  [[nodiscard]] Segment take_segment();
  // Sum and number of the losses that are known.
  [[nodiscard]] std::pair<double, std::size_t> loss_total() const;
  [[nodiscard]] bool wants_head() const override { return !loss_.empty() || !output_logits_.empty(); }

 private:
  template <typename Id>
  void store_ids(std::vector<Id>& column, std::size_t row, const TokenRuns& runs, const RowDecision& decision);

  OutputSampler* sampler_;
  std::size_t first_token_;
  std::size_t rows_, tokens_, slots_, logit_width_, vocabulary_;
  bool narrow_;  // ids fit a byte with all ones to spare
  std::vector<std::uint8_t> ids8_, used_;
  std::vector<std::uint16_t> ids16_;
  std::vector<float> weights_, margin_, router_logits_, dropped_, norms_, loss_, output_logits_;
};

}  // namespace moescope::torch_engine
