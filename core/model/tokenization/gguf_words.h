// The ways of cutting text into words that `tokenizer.ggml.pre` of a GGUF file names, as the pre-tokenizer and
// normaliser of a tokenizer.json. Used by the reader of GGUF vocabularies; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace moescope::tokenization {

struct GgufWords {
  nlohmann::json pre_tokenizer, normalizer;
  bool ignore_merges = false;  // a whole word that is in the vocabulary is not merged
  bool begin = false;          // a text begins with the begin token unless the file says otherwise
};

// Error (input): a name that is not known here.
[[nodiscard]] Expected<GgufWords> gguf_words(const std::string& name);

}  // namespace moescope::tokenization
