// Pre-tokenizers of tokenizer.json: cut a normalised piece into the words that the model treats one by one. Immutable;
// any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenization/aligned_text.h"
#include "core/model/tokenization/pattern.h"

namespace moescope::tokenization {

struct Words {
  AlignedText text;
  Cuts cuts;  // ascending, not overlapping, none empty
};

class PreTokenizer {
 public:
  // `json` may be null (a piece is one word). Error (input): a type that is not supported, by name.
  [[nodiscard]] static Expected<PreTokenizer> from_json(const nlohmann::json& json);
  [[nodiscard]] Expected<Words> apply(AlignedText text) const;
  // Whether the model sees bytes written in the byte alphabet ("Ġthe") instead of characters.
  [[nodiscard]] bool byte_level() const { return byte_level_; }

 private:
  enum class Behaviour : std::uint8_t { isolated, removed, merged_with_previous, merged_with_next, contiguous };
  struct Split {
    Pattern pattern;
    Behaviour behaviour = Behaviour::isolated;
    bool invert = false;
  };
  struct Digits {
    bool individual = false;
  };
  struct PrefixSpace {};  // the part of ByteLevel that puts a space before every word
  struct Metaspace {
    std::string replacement;
    enum class Prepend : std::uint8_t { first, always, never } prepend = Prepend::always;
    bool split = true;
  };
  std::vector<std::variant<Split, Digits, PrefixSpace, Metaspace>> steps_;
  bool byte_level_ = false;

  [[nodiscard]] Expected<void> add(const nlohmann::json& json, int depth);
  [[nodiscard]] Expected<void> add_split(const nlohmann::json& json);
  [[nodiscard]] Expected<void> add_byte_level(const nlohmann::json& json);
  [[nodiscard]] Expected<void> add_metaspace(const nlohmann::json& json);
  static void cut_word(Cuts& out, std::size_t begin, std::size_t end, const Cuts& matches, Behaviour behaviour,
                       bool invert);
  [[nodiscard]] static Expected<void> apply_split(Words& words, const Split& step);
  static void apply_digits(Words& words, const Digits& step);
  static void apply_prefix_space(Words& words);
  static void apply_metaspace(Words& words, const Metaspace& step);
};

}  // namespace moescope::tokenization
