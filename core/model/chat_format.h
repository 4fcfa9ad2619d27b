// Chat formats: how a user's text is wrapped for a model trained on conversations, as data. Called by the prompt box
// and the command line, which show the wrapped text before it runs. Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

struct ChatFormat {
  std::string name;    // "chatml", as options and sessions write it
  std::string title;   // "ChatML"
  std::string help;    // one line: which models were trained on it
  std::string before;  // put before the text
  std::string after;   // put after it; ends where the model's answer would begin
  // Whether the tokenizer's own template (begin-of-text) is applied too. False when `before` writes it.
  bool tokenizer_template = false;
};

// All formats, "raw" first.
[[nodiscard]] MOESCOPE_API std::span<const ChatFormat> chat_formats();
// Null when there is none of that name.
[[nodiscard]] MOESCOPE_API const ChatFormat* find_chat_format(std::string_view name);
// The text that the model sees. Error (usage): an unknown format, with the known ones.
[[nodiscard]] MOESCOPE_API Expected<std::string> wrap(std::string_view format, std::string_view text);

}  // namespace moescope
