// Tokenizers of SentencePiece model files, through its library. Called by load_tokenizer(); any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "core/base/error.h"
#include "core/model/tokenizer.h"

namespace moescope::tokenization {

inline constexpr char sentencepiece_first_byte = 0x0A;  // the tag of a model's first piece

// `model` is the content of `file`, whose folder may have a tokenizer_config.json that says whether texts begin and end
// with special tokens. Control pieces are found in a text as they are written, as the other tokenizers find theirs.
// Error (input): a model that is broken or that the library refuses.
[[nodiscard]] Expected<std::shared_ptr<const Tokenizer>> load_sentencepiece(std::string_view model,
                                                                            const std::filesystem::path& file);

}  // namespace moescope::tokenization
