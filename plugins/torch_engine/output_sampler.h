// Sampled outputs of experts, kept on request: those of the tokens with the smallest hashes, so that the choice depends
// neither on batching nor on order. Used by the recorder; add() may come from several threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "plugins/torch_engine/blocks/moe.h"

namespace moescope::torch_engine {

class OutputSampler {
 public:
  struct Sample {
    std::uint64_t key = 0;
    std::size_t token = 0;  // of the whole trace
    std::uint32_t expert = 0;
    std::vector<float> output;  // [H], before the gate weight
  };

  // At most `count` samples per row and expert.
  OutputSampler(std::size_t count, std::size_t rows) : count_(count), kept_(rows) {}
  // `outputs` [S, H] in the dispatch's order. tokens[i] + first_token is the i-th token of the batch in the trace.
  void add(std::size_t row, std::size_t first_token, std::span<const std::size_t> tokens,
           const blocks::Dispatch& dispatch, const at::Tensor& outputs);
  // Drops what was sampled from tokens of the trace from `first_token` on, which will come again.
  void forget(std::size_t first_token);
  // By expert, then token.
  [[nodiscard]] std::vector<Sample> samples_of(std::size_t row) const;

 private:
  std::mutex mutex_;
  std::size_t count_;
  std::vector<std::map<std::uint32_t, std::vector<Sample>>> kept_;  // row -> expert -> heap, largest key first
};

}  // namespace moescope::torch_engine
