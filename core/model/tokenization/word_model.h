// WordModel: from one word to token ids; what differs between byte-pair merges and scored pieces. Immutable; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moescope::tokenization {

// A token and the bytes of the word it covers. With byte fallback the bytes of one character share its range.
struct WordToken {
  std::int32_t id = 0;
  std::uint32_t begin = 0, end = 0;
};

class WordModel {
 public:
  virtual ~WordModel() = default;
  // Appends the tokens of a word (valid UTF-8). O(n log n) in its length.
  virtual void encode(std::string_view word, std::vector<WordToken>& out) const = 0;
  [[nodiscard]] virtual const std::string* text_of(std::int32_t id) const = 0;  // null for an unknown id
  [[nodiscard]] virtual std::size_t size() const = 0;
};

}  // namespace moescope::tokenization
