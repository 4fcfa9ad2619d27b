// Where the forward pass puts what it records. The Recorder fills columns at once; a DecisionLog keeps what happened
// until the number of tokens is known. Used by the forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/engine/engine.h"
#include "plugins/torch_engine/blocks/moe.h"

namespace moescope::torch_engine {

// Where the tokens of a batch lie in the segment: runs of (first token, length), in the batch's order.
using TokenRuns = std::vector<std::pair<std::size_t, std::size_t>>;

// What one row decided for a batch. Tensors are on the CPU.
struct RowDecision {
  at::Tensor ids;      // [n, slots] int64, −1 = unfilled; dropped ones keep their id
  at::Tensor weights;  // [n, slots] float32
  at::Tensor margin;   // [n] float32; undefined = not known
  at::Tensor logits;   // [n, E] float32, as the model computed them
  at::Tensor dropped;  // [n, slots] uint8; undefined = no capacity limit
};

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void row(std::size_t row, const TokenRuns& runs, const RowDecision& decision) = 0;
  virtual void skipped_row(std::size_t row, const TokenRuns& runs) = 0;
  // `outputs` [S, H] in the dispatch's order, before gate weights, as computed (scaled or ablated ones included).
  virtual void expert_outputs(std::size_t row, const TokenRuns& runs, const blocks::Dispatch& dispatch,
                              const at::Tensor& outputs) = 0;
  // Loss of n tokens from the `first`-th of the batch on; NaN where there is no next token. Logits [n, V] or undefined.
  virtual void tokens(const TokenRuns& runs, std::size_t first, std::span<const float> losses,
                      const at::Tensor& logits) = 0;
  // Whether anything asks for the output head.
  [[nodiscard]] virtual bool wants_head() const = 0;
};

// Calls of a sequence whose length is not known yet, to be made again on the sink that knows it. One thread.
class DecisionLog : public RecordSink {
 public:
  explicit DecisionLog(const RecordOptions& options)
      : wants_head_(options.token_loss || options.output_logits),
        wants_logits_(options.output_logits),
        wants_outputs_(options.expert_output_norms || options.sampled_outputs > 0) {}

  void row(std::size_t row, const TokenRuns& runs, const RowDecision& decision) override {
    calls_.push_back([=](RecordSink& to, std::size_t shift) { to.row(row, shifted(runs, shift), decision); });
  }
  void skipped_row(std::size_t row, const TokenRuns& runs) override {
    calls_.push_back([=](RecordSink& to, std::size_t shift) { to.skipped_row(row, shifted(runs, shift)); });
  }
  void expert_outputs(std::size_t row, const TokenRuns& runs, const blocks::Dispatch& dispatch,
                      const at::Tensor& outputs) override {
    if (!wants_outputs_) return;
    calls_.push_back(
        [=](RecordSink& to, std::size_t shift) { to.expert_outputs(row, shifted(runs, shift), dispatch, outputs); });
  }
  void tokens(const TokenRuns& runs, std::size_t first, std::span<const float> losses,
              const at::Tensor& logits) override {
    const at::Tensor kept_logits = wants_logits_ ? logits : at::Tensor();
    calls_.push_back([=, kept = std::vector<float>(losses.begin(), losses.end())](RecordSink& to, std::size_t shift) {
      to.tokens(shifted(runs, shift), first, kept, kept_logits);
    });
  }
  [[nodiscard]] bool wants_head() const override { return wants_head_; }

  // Makes all calls on `to`, tokens moved up by `shift`.
  void replay(RecordSink& to, std::size_t shift) const {
    for (const auto& call : calls_) call(to, shift);
  }

 private:
  [[nodiscard]] static TokenRuns shifted(TokenRuns runs, std::size_t shift) {
    for (auto& run : runs) run.first += shift;
    return runs;
  }

  bool wants_head_, wants_logits_, wants_outputs_;
  std::vector<std::function<void(RecordSink&, std::size_t)>> calls_;
};

}  // namespace moescope::torch_engine
