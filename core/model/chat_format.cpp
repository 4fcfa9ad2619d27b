#include "core/model/chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace moescope {

std::span<const ChatFormat> chat_formats() {
  static const std::vector<ChatFormat> formats{
      {"raw", "Raw text", "The text as it is, for base models", "", "", true},
      {"chatml", "ChatML", "Qwen and many fine-tuned models", "<|im_start|>user\n",
       "<|im_end|>\n<|im_start|>assistant\n"},
      {"llama2", "Llama 2, Mixtral", "Models that take instructions between [INST] and [/INST]", "<s>[INST] ",
       " [/INST]"},
      {"llama3", "Llama 3", "Models with header and end-of-turn tokens",
       "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
       "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"olmo", "OLMo, OLMoE", "Instruction-tuned OLMo and OLMoE models", "<|endoftext|><|user|>\n",
       "\n<|assistant|>\n"},
      {"tulu", "Tulu", "The same roles without a token at the start", "<|user|>\n", "\n<|assistant|>\n", true}};
  return formats;
}

const ChatFormat* find_chat_format(std::string_view name) {
  const auto formats = chat_formats();
  const auto it = std::find_if(formats.begin(), formats.end(), [&](const ChatFormat& f) { return f.name == name; });
  return it == formats.end() ? nullptr : &*it;
}

Expected<std::string> wrap(std::string_view format, std::string_view text) {
  if (const ChatFormat* found = find_chat_format(format)) return found->before + std::string(text) + found->after;
  std::string known;
  for (const ChatFormat& f : chat_formats()) known += (known.empty() ? "" : ", ") + f.name;
  return fail(ErrorKind::usage, fmt::format("there is no chat format \"{}\"", format), "format", "Known: " + known);
}

}  // namespace moescope
