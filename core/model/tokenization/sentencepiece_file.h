// Checks a SentencePiece model before its library sees it, since the library trusts what it reads, and tells what the
// library does not: how texts are prefixed. Called by the SentencePiece tokenizer only. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace moescope::tokenization {

struct SentencePieceFacts {
  std::size_t pieces = 0;
  std::string kind = "unigram";  // or "BPE", "words", "characters"
  bool dummy_prefix = true;      // a space is put before every text
  bool space_as_suffix = false;  // pieces end in the space instead of beginning with it
};

// Error (input), without a place: not a model; a piece that is empty, not UTF-8 or without a finite score; a
// normalisation table that points outside itself.
[[nodiscard]] Expected<SentencePieceFacts> check_sentencepiece(std::string_view model);

}  // namespace moescope::tokenization
