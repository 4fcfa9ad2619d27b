// The tokenizer that a GGUF file carries in its metadata: byte-level BPE ("gpt2") with the words that `.pre` names, or
// scored SentencePiece pieces ("llama"). Called by Checkpoint and load_tokenizer(); any thread.
#pragma once

#include <memory>

#include "core/base/error.h"
#include "core/io/gguf.h"
#include "core/model/tokenizer.h"

namespace moescope::tokenization {

// Null when the file has no vocabulary (tokenizer.ggml.model absent or "none"). Errors (input): another kind of
// vocabulary or of words, by name; tables of different lengths; ids that the vocabulary does not have.
[[nodiscard]] Expected<std::shared_ptr<const Tokenizer>> tokenizer_of_gguf(const GgufFile& file);

}  // namespace moescope::tokenization
