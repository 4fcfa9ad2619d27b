#include "core/model/tokenization/gguf_words.h"

#include <fmt/format.h>

#include <array>
#include <span>

// Expressions: checkpoints.md, section 5.4, and the tokenizer.json files of the models that the names stand for.
namespace moescope::tokenization {
namespace {

using Json = nlohmann::json;

constexpr const char* gpt2_words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* llama3_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* qwen_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* o200k_words =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* single_digits = R"(\p{N})";
constexpr const char* digits_by_three = R"(\p{N}{1,3})";
constexpr const char* deepseek_v3_east_asian = "[一-龥぀-ゟ゠-ヿ]+";
constexpr const char* deepseek_v3_words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* line_ends = R"([\r\n])";
constexpr const char* older_deepseek_east_asian = "[一-龥ࠀ-一가-퟿]+";

struct Row {
  std::string_view name;
  std::array<const char*, 6> expressions;  // null at the end; applied one after the other
  bool ignore_merges = false, begin = false, composed = false;
};

constexpr std::array rows{
    Row{"gpt-2", {gpt2_words}},
    Row{"olmo", {gpt2_words}},
    Row{"mpt", {gpt2_words}},
    Row{"llama-bpe", {llama3_words}, true, true},
    Row{"llama3", {llama3_words}, true, true},
    Row{"llama-v3", {llama3_words}, true, true},
    Row{"dbrx", {llama3_words}},
    Row{"glm4", {llama3_words}},
    Row{"chatglm-bpe", {llama3_words}},
    Row{"qwen2", {qwen_words}, false, false, true},
    Row{"gpt-4o", {o200k_words}, true},
    Row{"llama4", {o200k_words}, true},
    Row{"minimax-m2", {o200k_words}},
    Row{"deepseek-v3", {digits_by_three, deepseek_v3_east_asian, deepseek_v3_words}},
    Row{"hunyuan-dense", {digits_by_three, deepseek_v3_east_asian, deepseek_v3_words}},
    Row{"deepseek-coder", {line_ends, R"(\s?\p{L}+)", R"(\s?\p{P}+)", older_deepseek_east_asian, single_digits}},
    Row{"deepseek-llm",
        {line_ends, R"(\s?[\p{Lu}\p{Ll}\p{Lt}]+)", R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)",
         older_deepseek_east_asian, R"(\p{N}+)"}},
    Row{"refact", {single_digits, gpt2_words}},
    Row{"starcoder", {single_digits, gpt2_words}},
    Row{"smollm", {single_digits, gpt2_words}}};

}  // namespace

Expected<GgufWords> gguf_words(const std::string& name) {
  for (const Row& row : rows) {
    if (row.name != name) continue;
    GgufWords out;
    Json steps = Json::array();
    for (const char* expression : row.expressions) {
      if (expression == nullptr) break;
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
    out.pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
    if (row.composed) out.normalizer = {{"type", "NFC"}};
    out.ignore_merges = row.ignore_merges;
    out.begin = row.begin;
    return out;
  }
  std::string known;
  for (const Row& row : rows) known += (known.empty() ? "" : ", ") + std::string(row.name);
  return fail(ErrorKind::input, fmt::format("the vocabulary cuts words in the way \"{}\", which is not known", name),
              "tokenizer.ggml.pre", fmt::format("Known: {}. The model still runs on token ids", known));
}

}  // namespace moescope::tokenization
