#include "core/model/tokenization/aligned_text.h"

#include <algorithm>

namespace moescope::tokenization {
namespace {

bool inside_character(const std::string& text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
}

}  // namespace

ByteRange AlignedText::origin(std::size_t begin, std::size_t end) const {
  if (!origins_.empty()) {
    ByteRange range = origins_[begin];
    for (std::size_t i = begin; i < end; ++i) {
      range.first = std::min(range.first, origins_[i].first);
      range.second = std::max(range.second, origins_[i].second);
    }
    return range;
  }
  while (begin > 0 && inside_character(text_, begin)) --begin;
  while (inside_character(text_, end)) ++end;
  return {base_ + begin, base_ + end};
}

AlignedText AlignedText::part(std::size_t begin, std::size_t end) const {
  AlignedText out(std::string_view(text_).substr(begin, end - begin), base_ + begin);
  if (!origins_.empty()) {
    out.origins_.assign(origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                        origins_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return out;
}

void AlignedText::spell_out_origins() {
  if (!origins_.empty() || text_.empty()) return;
  std::vector<ByteRange> origins(text_.size());
  for (std::size_t begin = 0; begin < text_.size();) {
    std::size_t end = begin + 1;
    while (inside_character(text_, end)) ++end;
    for (std::size_t i = begin; i < end; ++i) origins[i] = {base_ + begin, base_ + end};
    begin = end;
  }
  origins_ = std::move(origins);
}

void AlignedText::append(const AlignedText& other, std::size_t begin, std::size_t end) {
  if (begin == end) return;
  spell_out_origins();
  text_.append(other.text_, begin, end - begin);
  if (!other.origins_.empty()) {
    origins_.insert(origins_.end(), other.origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                    other.origins_.begin() + static_cast<std::ptrdiff_t>(end));
    return;
  }
  for (std::size_t i = begin; i < end; ++i) origins_.push_back(other.origin(i, i + 1));
}

void AlignedText::append(std::string_view text, ByteRange from) {
  spell_out_origins();
  text_.append(text);
  origins_.insert(origins_.end(), text.size(), from);
}

}  // namespace moescope::tokenization
