// A tokenizer put together from its steps: added tokens, normaliser, words, model, template, decoder. Made from a
// tokenizer.json or from a GGUF vocabulary. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/model/tokenization/added_tokens.h"
#include "core/model/tokenization/decoder.h"
#include "core/model/tokenization/normalizer.h"
#include "core/model/tokenization/post_processor.h"
#include "core/model/tokenization/pre_tokenizer.h"
#include "core/model/tokenization/word_model.h"
#include "core/model/tokenizer.h"

namespace moescope::tokenization {

struct Pipeline {
  Normalizer normalizer;
  PreTokenizer pre;
  std::unique_ptr<const WordModel> model;
  AddedTokens added;
  PostProcessor post;
  Decoder decoder;
  std::string kind;  // "byte-level BPE", for the description
};

[[nodiscard]] std::shared_ptr<const Tokenizer> make_tokenizer(Pipeline pipeline);

// The steps that a tokenizer.json describes. Error (input) without a file name.
[[nodiscard]] Expected<Pipeline> pipeline_of_json(const nlohmann::json& json);

// The user's text as valid UTF-8; ill-formed bytes become U+FFFD that still know where they stood.
[[nodiscard]] AlignedText checked_text(std::string_view text);

}  // namespace moescope::tokenization
