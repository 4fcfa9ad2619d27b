// Text, JSON lines or ids as the sequences of a run, through the checkpoint's tokenizer. Any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/engine/engine.h"
#include "core/model/checkpoint.h"

namespace moescope {

// Longest sequence that a text is cut into when nothing else is asked for; the model's own limit may be lower.
inline constexpr std::size_t default_sequence_tokens = 512;

// Text as one or more sequences of at most `longest` tokens (0 = as above), cut between tokens. `special`: with the
// tokenizer's own template (begin-of-text and the like).
// Errors (input): no tokenizer, or an empty text.
[[nodiscard]] MOESCOPE_API Expected<std::vector<SequenceInput>> sequences_from_text(const Checkpoint& checkpoint,
                                                                                    std::string_view text, bool special,
                                                                                    std::size_t longest);
// One JSON object per line: "text" or "ids" (a list of token ids), for models with an encoder also "decoder_text" or
// "decoder_ids", and other strings, numbers and truth values as tags. Errors name the line.
[[nodiscard]] MOESCOPE_API Expected<std::vector<SequenceInput>> sequences_from_jsonl(const Checkpoint& checkpoint,
                                                                                     std::string_view lines,
                                                                                     const std::string& where,
                                                                                     std::size_t longest);
// What the decoder of a model with an encoder reads besides one sequence: ids as they are (with the start token), or a
// text, before which the start token is put and whose end token is left out, as in training. Only one of the two may be
// given. Errors (usage): the model has no encoder, the text was cut into several sequences, both were given.
[[nodiscard]] MOESCOPE_API Expected<void> add_decoder_input(const Checkpoint& checkpoint, std::vector<std::int32_t> ids,
                                                            std::string_view text,
                                                            std::vector<SequenceInput>& sequences);
// "1,2,3": one sequence of token ids. Errors (usage): no numbers, an id outside the vocabulary, too many.
[[nodiscard]] MOESCOPE_API Expected<std::vector<SequenceInput>> sequences_from_ids(const Checkpoint& checkpoint,
                                                                                   std::string_view ids);

}  // namespace moescope
