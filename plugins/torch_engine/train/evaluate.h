// Runs the sample's promises over a model and its held-out text and prints them as a table. Used by moescope-train.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenizer.h"
#include "plugins/torch_engine/train/corpus.h"
#include "plugins/torch_engine/train/lm_model.h"
#include "plugins/torch_engine/train/routing_checks.h"

namespace moescope::train {

struct Evaluation {
  double loss = 0, unigram = 0, unigram_balanced = 0;  // nats per predicted token
  std::vector<double> domain_loss;                     // by RoutedTokens::domains
  std::size_t tokens = 0, predicted = 0;
  RoutedTokens routed;
  std::vector<RowChecks> rows;
  std::vector<BestLift> lifts;
};

// Each held-out document is one sequence (cut at the model's longest). Losses are of tokens 2, 3, … of each.
[[nodiscard]] Expected<Evaluation> evaluate(const blocks::ModelWeights& weights, const ModelShape& shape,
                                            const Tokenizer& tokenizer, const TokenStreams& train,
                                            const std::vector<Document>& held_out, const Limits& limits);

// The table; `passed` tells whether every promise holds.
[[nodiscard]] std::string evaluation_table(const Evaluation& evaluation, const Limits& limits, bool& passed);

}  // namespace moescope::train
