// Corpus of the trainer: JSON Lines {text, domain}, plain or compressed with zstd, and the token streams made of it.
// One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenizer.h"

namespace moescope::train {

struct Document {
  std::string text;
  std::string domain;  // empty = untagged
};

// Reads *.jsonl or *.jsonl.zst. Errors (input) name file and line.
[[nodiscard]] Expected<std::vector<Document>> read_documents(const std::filesystem::path& file);

// Tokens of each domain in one stream, documents parted by the end-of-text token. Domains in alphabetical order.
struct TokenStreams {
  std::vector<std::string> domains;
  std::vector<std::vector<std::int32_t>> tokens;
};
[[nodiscard]] Expected<TokenStreams> tokenise(const std::vector<Document>& documents, const Tokenizer& tokenizer,
                                              std::int32_t end_of_text);

// Windows of length + 1 tokens from random places, the domains taking turns: [count × (length + 1)], row-major.
[[nodiscard]] std::vector<std::int64_t> draw_batch(const TokenStreams& streams, std::size_t count, std::size_t length,
                                                   std::mt19937_64& random);

// Natural-log loss per token of a unigram model with add-one counts: fitted on `train`, where every domain weighs the
// same when `balanced`, else every token does.
[[nodiscard]] double unigram_loss(const TokenStreams& train, const std::vector<std::vector<std::int32_t>>& held_out,
                                  std::size_t vocabulary, bool balanced);

}  // namespace moescope::train
