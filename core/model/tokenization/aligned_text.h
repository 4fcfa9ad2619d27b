// Text on its way through the tokenizer, where every byte still knows which bytes of the user's text it came from.
// Used by all steps of encoding; a value, one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moescope::tokenization {

// Half-open range of bytes.
using ByteRange = std::pair<std::uint64_t, std::uint64_t>;

class AlignedText {
 public:
  AlignedText() = default;
  // Text that stands unchanged at byte `base` of the user's text.
  AlignedText(std::string_view text, std::uint64_t base) : text_(text), base_(base) {}

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::size_t size() const { return text_.size(); }

  // Bytes of the user's text that bytes [begin, end) came from, whole characters; begin < end.
  [[nodiscard]] ByteRange origin(std::size_t begin, std::size_t end) const;
  // A part, on character borders.
  [[nodiscard]] AlignedText part(std::size_t begin, std::size_t end) const;
  // Appends bytes [begin, end) of another text with their origins.
  void append(const AlignedText& other, std::size_t begin, std::size_t end);
  // Appends new text that stands for `from` of the user's text.
  void append(std::string_view text, ByteRange from);

 private:
  std::string text_;
  std::vector<ByteRange> origins_;  // per byte, the character it came from; empty = the text is unchanged
  std::uint64_t base_ = 0;

  void spell_out_origins();
};

// Half-open byte ranges of an AlignedText: the pieces that later steps treat one by one.
using Cuts = std::vector<std::pair<std::size_t, std::size_t>>;

}  // namespace moescope::tokenization
