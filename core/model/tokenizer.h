// Tokenizer: text to ids and back, with each token's place in the text. Made from a tokenizer.json, a SentencePiece
// model or the vocabulary in a GGUF file; immutable, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::string> tokens;                             // as the vocabulary writes them ("Ġthe")
  std::vector<std::pair<std::uint64_t, std::uint64_t>> bytes;  // byte range of each token in the text; (0,0) for tokens
                                                               // that a template added
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // `special`: apply the post-processor's template (begin-of-text and the like).
  [[nodiscard]] virtual Expected<Encoding> encode(std::string_view text, bool special) const = 0;
  // Text of ids; invalid UTF-8 becomes U+FFFD as the reference implementation does.
  [[nodiscard]] virtual std::string decode(std::span<const std::int32_t> ids, bool skip_special) const = 0;
  // Raw bytes of one id (may be half a character); empty for an unknown id.
  [[nodiscard]] virtual std::string token_bytes(std::int32_t id) const = 0;
  // The vocabulary's own spelling, or "" for an unknown id.
  [[nodiscard]] virtual std::string token_text(std::int32_t id) const = 0;
  [[nodiscard]] virtual std::size_t vocabulary_size() const = 0;
  [[nodiscard]] virtual std::string description() const = 0;  // "byte-level BPE, 2,000 tokens"
};

// Reads a tokenizer from a file of any of the three kinds, told apart by its content. Errors (input): what is not
// supported by name, a merge whose parts are missing, bad JSON, a broken model, a GGUF file without a vocabulary.
[[nodiscard]] MOESCOPE_API Expected<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& file);

// The file in a checkpoint folder that has its tokenizer: tokenizer.json, else tokenizer.model; nothing when it has
// none.
[[nodiscard]] MOESCOPE_API std::optional<std::filesystem::path> find_tokenizer(const std::filesystem::path& folder);

}  // namespace moescope
