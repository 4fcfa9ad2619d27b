// Added tokens of tokenizer.json ("<|endoftext|>"): found in the text before anything else happens to it. Immutable
// after load; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenization/normalizer.h"

namespace moescope::tokenization {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

// A part of a text: an added token, or (id < 0) what lies between.
struct TextPart {
  std::size_t begin = 0, end = 0;
  std::int32_t id = -1;
};

// Finds a set of strings: leftmost first, the longest on ties.
class TokenFinder {
 public:
  void add(const std::string& text, const AddedToken* token);
  [[nodiscard]] std::vector<TextPart> split(std::string_view text) const;

 private:
  struct Node {
    std::unordered_map<char, std::uint32_t> next;
    const AddedToken* token = nullptr;
  };
  std::vector<Node> nodes_ = std::vector<Node>(1);
};

class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;  // move only: members point into other members
  AddedTokens& operator=(AddedTokens&&) = default;

  // `json` is the list of tokenizer.json. Error (input): an entry without content or with an impossible id.
  [[nodiscard]] static Expected<AddedTokens> from_json(const nlohmann::json& json, const Normalizer& normalizer);
  // Those matched in the text as the user wrote it, and those matched after normalisation.
  [[nodiscard]] const TokenFinder& raw() const { return raw_; }
  [[nodiscard]] const TokenFinder& normalised() const { return normalised_; }
  [[nodiscard]] const AddedToken* find(std::int32_t id) const;
  [[nodiscard]] const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  std::vector<AddedToken> tokens_;  // never resized after the finders point into it
  std::unordered_map<std::int32_t, std::size_t> by_id_;
  TokenFinder raw_, normalised_;
};

}  // namespace moescope::tokenization
