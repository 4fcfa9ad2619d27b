// Prompt formats: how a typed text becomes the text that the model is given. Shown in the prompt panel before a run and
// used by the command run.prompt. Pure functions: any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/export.h"

namespace moescope {

struct PromptFormat {
  std::string name;     // "raw": the argument `format` of run.prompt
  std::string title;    // "Raw text"
  std::string help;     // one sentence
  std::string pattern;  // with one {} where the text goes
};

// All formats, "raw" first.
[[nodiscard]] MOESCOPE_API std::span<const PromptFormat> prompt_formats();
[[nodiscard]] MOESCOPE_API const PromptFormat* find_prompt_format(std::string_view name);
// The text in a format, exactly as it is run; an unknown format gives the text as it is.
[[nodiscard]] MOESCOPE_API std::string format_prompt(std::string_view format, std::string_view text);

}  // namespace moescope
