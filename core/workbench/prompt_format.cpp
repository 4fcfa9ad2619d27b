#include "core/workbench/prompt_format.h"

#include <array>

namespace moescope {

std::span<const PromptFormat> prompt_formats() {
  static const std::array<PromptFormat, 5> formats = {{
      {"raw", "Raw text", "The text as it is typed; the model continues it.", "{}"},
      {"tulu", "Chat, Tülu", "User and assistant marks of the Tülu and OLMo instruction models.",
       "<|user|>\n{}\n<|assistant|>\n"},
      {"chatml", "Chat, ChatML", "Turns between <|im_start|> and <|im_end|>, as Qwen and many others use them.",
       "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"},
      {"inst", "Chat, [INST]", "An instruction between [INST] marks, as Mistral and Mixtral use them.",
       "[INST] {} [/INST]"},
      {"question", "Question and answer", "A question for models that were not trained to chat.",
       "Question: {}\nAnswer:"},
  }};
  return formats;
}

const PromptFormat* find_prompt_format(std::string_view name) {
  for (const PromptFormat& format : prompt_formats())
    if (format.name == name) return &format;
  return nullptr;
}

std::string format_prompt(std::string_view format, std::string_view text) {
  const PromptFormat* found = find_prompt_format(format);
  if (!found || text.empty()) return std::string(text);
  const std::size_t place = found->pattern.find("{}");
  return found->pattern.substr(0, place) + std::string(text) + found->pattern.substr(place + 2);
}

}  // namespace moescope
