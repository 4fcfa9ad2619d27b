// TokenLines: breaks a trace's tokens into lines of a fixed number of character cells. Works in slices, so that a
// million tokens never hold up the window; what is laid out so far can be shown. Main thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

// Character cells that a token's text takes: a tab four, wide characters two, control characters one.
[[nodiscard]] int token_cells(const std::string& bytes);

struct TokenLine {
  std::uint64_t first = 0;     // token
  std::uint32_t count = 0;     // tokens
  std::int32_t sequence = -1;  // id, where the trace has one
  std::uint32_t number = 0;    // of the text line within the whole, from 1; 0 = the text line goes on from above
  bool starts_sequence = false;
  bool starts_generated = false;  // its first token is the first one that the model generated
};

class TokenLines {
 public:
  // Sequences without any token that the filter keeps are left out; without sequences everything is shown.
  void start(std::shared_ptr<const Trace> trace, AppliedFilter filter, int cells_per_line);
  // Lays out about `tokens` more; true while there is more to do.
  bool advance(std::size_t tokens);
  [[nodiscard]] bool finished() const { return !trace_ || next_ >= total_; }
  [[nodiscard]] const std::vector<TokenLine>& lines() const { return lines_; }
  // The line of a token; nullopt when it is not shown or not laid out yet.
  [[nodiscard]] std::optional<std::size_t> line_of(std::uint64_t token) const;
  [[nodiscard]] std::uint64_t tokens_shown() const { return shown_; }

 private:
  [[nodiscard]] std::uint64_t sequence_end(std::uint64_t first, std::int32_t& id) const;
  [[nodiscard]] bool begins_generated(std::uint64_t token) const;
  void wrap(bool at_word, int cells);
  void begin_line(std::uint64_t token, bool numbered);

  std::shared_ptr<const Trace> trace_;
  AppliedFilter filter_;
  std::vector<TokenLine> lines_;
  std::uint64_t total_ = 0, next_ = 0, shown_ = 0, sequence_last_ = 0;
  std::int32_t sequence_ = -1;
  std::uint32_t number_ = 0;
  std::uint64_t word_ = 0;  // first token of the word that is being laid out
  int cells_per_line_ = 80, cells_ = 0, word_cells_ = 0;
  bool new_line_ = true, sequence_starts_ = false;
};

}  // namespace moescope
