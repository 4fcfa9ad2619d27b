#include "views/tokens/token_lines.h"

#include <algorithm>

namespace moescope {
namespace {

constexpr unsigned first_wide_character = 0x1100;  // Hangul; Latin, Greek, Cyrillic and Arabic lie below
constexpr unsigned first_wide_lead_byte = 0xE2;

}  // namespace

int token_cells(const std::string& bytes) {
  int cells = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if ((byte & 0xC0U) == 0x80U) continue;  // inside a character
    if (byte == '\t') {
      cells += 4;
      continue;
    }
    ++cells;
    if (byte < first_wide_lead_byte || i + 2 >= bytes.size()) continue;
    const unsigned code = ((byte & 0x0FU) << 12U) | ((static_cast<unsigned char>(bytes[i + 1]) & 0x3FU) << 6U) |
                          (static_cast<unsigned char>(bytes[i + 2]) & 0x3FU);
    const bool wide = byte >= 0xF0U || (code >= 0x2E80 && code < 0xA4D0) || (code >= 0xAC00 && code < 0xD7A4) ||
                      (code >= 0xF900 && code < 0xFB00) || (code >= 0xFF00 && code < 0xFF61) ||
                      (code >= first_wide_character && code < 0x1160);
    cells += wide ? 1 : 0;
  }
  return std::max(1, cells);
}

void TokenLines::start(std::shared_ptr<const Trace> trace, AppliedFilter filter, int cells_per_line) {
  trace_ = std::move(trace);
  filter_ = std::move(filter);
  cells_per_line_ = std::max(20, cells_per_line);
  lines_.clear();
  next_ = shown_ = sequence_last_ = 0;
  number_ = 0;
  word_ = 0;
  cells_ = word_cells_ = 0;
  new_line_ = true;
  total_ = trace_ ? trace_->token_count() : 0;
}

// End of the run of tokens with the same sequence id, within the segment; the whole segment without ids.
std::uint64_t TokenLines::sequence_end(std::uint64_t first, std::int32_t& id) const {
  const Trace::Place place = trace_->locate(first);
  id = -1;
  if (!place.segment) return total_;
  const std::uint64_t rest = place.segment->tokens - place.token;
  if (place.segment->sequence_ids.empty()) return first + rest;
  const auto ids = place.segment->sequence_ids.values.subspan(place.token);
  id = ids[0];
  std::uint64_t n = 1;
  while (n < rest && ids[n] == id) ++n;
  return first + n;
}

// Whether generation (phase decode) begins with this token, after a prompt.
bool TokenLines::begins_generated(std::uint64_t token) const {
  const Trace::Place place = trace_->locate(token);
  if (!place.segment || place.token == 0 || place.segment->phases.empty()) return false;
  return place.segment->phases[place.token] == 1 && place.segment->phases[place.token - 1] == 0;
}

void TokenLines::begin_line(std::uint64_t token, bool numbered) {
  if (numbered) ++number_;
  lines_.push_back({token, 0, sequence_, numbered ? number_ : 0, sequence_starts_, false});
  sequence_starts_ = false;
  cells_ = 0;
}

// A new line for the next token. A word of several tokens goes along with it whole, unless it is as long as half a
// line.
void TokenLines::wrap(bool at_word, int cells) {
  const bool carry = !at_word && word_ > lines_.back().first && word_cells_ <= cells_per_line_ / 2 &&
                     word_cells_ + cells <= cells_per_line_;
  const std::uint64_t first = carry ? word_ : next_;
  const auto carried = static_cast<std::uint32_t>(next_ - first);
  lines_.back().count -= carried;
  begin_line(first, false);
  lines_.back().count = carried;
  cells_ = carry ? word_cells_ : 0;
}

bool TokenLines::advance(std::size_t tokens) {
  if (!trace_) return false;
  for (std::size_t done = 0; done < tokens && next_ < total_; ++done) {
    if (next_ >= sequence_last_) {
      sequence_last_ = sequence_end(next_, sequence_);
      if (!filter_.mask.all()) {
        bool any = false;
        for (std::uint64_t t = next_; t < sequence_last_ && !any; ++t) any = filter_.mask.test(t);
        if (!any) {
          next_ = sequence_last_;
          continue;
        }
      }
      new_line_ = sequence_starts_ = true;
    }
    const bool generated = begins_generated(next_);
    if (generated) new_line_ = true;
    const std::string bytes = trace_->token_label(next_);
    const int cells = token_cells(bytes);
    const bool starts_word = bytes.empty() || bytes[0] == ' ' || bytes[0] == '\t' || bytes[0] == '\n';
    if (new_line_) {
      begin_line(next_, true);
      lines_.back().starts_generated = generated;
    } else if (cells_ + cells > cells_per_line_) {
      wrap(starts_word, cells);
    }
    if (new_line_ || starts_word) {
      word_ = next_;
      word_cells_ = 0;
    }
    new_line_ = false;
    ++lines_.back().count;
    cells_ += cells;
    word_cells_ += cells;
    if (bytes.find('\n') != std::string::npos) new_line_ = true;
    ++next_;
    ++shown_;
  }
  return next_ < total_;
}

std::optional<std::size_t> TokenLines::line_of(std::uint64_t token) const {
  const auto after = std::upper_bound(lines_.begin(), lines_.end(), token,
                                      [](std::uint64_t t, const TokenLine& line) { return t < line.first; });
  if (after == lines_.begin()) return std::nullopt;
  const auto line = after - 1;
  if (token >= line->first + line->count) return std::nullopt;
  return static_cast<std::size_t>(line - lines_.begin());
}

}  // namespace moescope
