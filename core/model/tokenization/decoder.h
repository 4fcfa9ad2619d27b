// Decoders of tokenizer.json: tokens as the vocabulary writes them, back to text. Immutable; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenization/pattern.h"

namespace moescope::tokenization {

class Decoder {
 public:
  // `json` may be null: then tokens are joined with spaces, as the reference does. Error (input): a type that is not
  // supported, by name.
  [[nodiscard]] static Expected<Decoder> from_json(const nlohmann::json& json);
  // Text of a run of tokens; invalid UTF-8 becomes U+FFFD.
  [[nodiscard]] std::string decode(std::vector<std::string> tokens) const;
  // Raw bytes of one token wherever it stands: what concerns only the start of a text is left out.
  [[nodiscard]] std::string bytes_of(const std::string& token) const;

 private:
  struct ByteLevel {};
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct ByteFallback {};
  struct Fuse {};
  struct Strip {
    std::string content;
    std::size_t start = 0, stop = 0;
  };
  struct Metaspace {
    std::string replacement;
    bool prepended = true;
  };
  std::vector<std::variant<ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace>> steps_;
  bool none_ = false;

  [[nodiscard]] Expected<void> add(const nlohmann::json& json, int depth);
};

}  // namespace moescope::tokenization
