// Byte-level BPE of the sample: learns merges from text and splits text with them. Used by the trainer of the sample
// model alone (readers of tokenizer.json are in core/model). Immutable after training; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace moescope::train {

// A text and how often it counts.
struct WeightedText {
  std::string_view text;
  std::int64_t weight = 1;
};

// Learned merges: token 0 is <|endoftext|>, tokens 1..256 are the bytes in order, then one token per merge.
struct Bpe {
  static constexpr std::int32_t end_of_text = 0;
  static constexpr std::int32_t first_merge = 257;
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
  std::vector<std::string> tokens;  // raw bytes of each id
  [[nodiscard]] std::size_t size() const { return tokens.size(); }
};

// Learns merges until `vocabulary` tokens exist or no pair occurs twice. The most frequent pair is merged first, ties
// by the lower pair of ids, so the result depends on the text alone. Errors: text that is not UTF-8 (input).
[[nodiscard]] Expected<Bpe> train_bpe(const std::vector<WeightedText>& texts, std::size_t vocabulary);

// tokenizer.json in the Hugging Face layout (byte-level pre-tokenizer and decoder, no template).
[[nodiscard]] std::string tokenizer_json(const Bpe& bpe);

}  // namespace moescope::train
