// tokenize and detokenize: a tokenizer by hand, from its own file or from a checkpoint.
#include <fmt/format.h>

#include <charconv>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/base/utf8.h"
#include "core/io/output_file.h"
#include "core/model/chat_format.h"
#include "core/model/tokenizer.h"

namespace moescope::cli {
namespace {

// Where the tokenizer is; one of them.
struct Source {
  std::string tokenizer, checkpoint;
};

struct TokenizeOptions {
  Source source;
  std::string text, file, format = "raw";
  bool special = false, json = false;
};

struct DetokenizeOptions {
  Source source;
  std::string ids;
  bool skip_special = false;
};

// The tokenizer in a file, or the one of a checkpoint: of its folder, or in its GGUF file.
Expected<std::shared_ptr<const Tokenizer>> tokenizer_of(const Source& source) {
  if (source.checkpoint.empty()) return load_tokenizer(source.tokenizer);
  std::error_code error;
  if (!std::filesystem::is_directory(source.checkpoint, error)) return load_tokenizer(source.checkpoint);
  if (const auto file = find_tokenizer(source.checkpoint)) return load_tokenizer(*file);
  return fail(ErrorKind::input, "the folder has neither tokenizer.json nor tokenizer.model", source.checkpoint,
              "Put the model's own one into it");
}

// For each byte of a text and for its end: the characters before it. Ill-formed bytes count as the U+FFFD they become.
std::vector<std::uint64_t> characters_before(std::string_view text) {
  std::vector<std::uint64_t> out(text.size() + 1);
  std::uint64_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    std::size_t bad = 0;
    const std::size_t length = well_formed_length(text, at, bad);
    for (const std::size_t end = at + (length != 0 ? length : bad); at < end; ++at) out[at] = count;
  }
  out.back() = count;
  return out;
}

// Bytes as JSON text: ill-formed parts are shown as \xHH.
std::string shown(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20) {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

Expected<void> run_tokenize(const TokenizeOptions& options) {
  const auto tokenizer = tokenizer_of(options.source);
  if (!tokenizer) return fail(tokenizer.error());
  std::string text = options.text;
  if (!options.file.empty()) {
    auto read = read_whole_file(options.file, text_limit);
    if (!read) return fail(std::move(read.error()));
    text = std::move(*read);
  }
  const auto wrapped = wrap(options.format, text);
  if (!wrapped) return fail(wrapped.error());
  const bool special = options.special && find_chat_format(options.format)->tokenizer_template;
  const auto encoding = (*tokenizer)->encode(*wrapped, special);
  if (!encoding) return fail(encoding.error());
  if (options.json) {
    const auto characters = characters_before(*wrapped);
    nlohmann::json spans = nlohmann::json::array(), offsets = nlohmann::json::array();
    for (const auto& [begin, end] : encoding->bytes) {
      spans.push_back({begin, end});
      offsets.push_back({characters[begin], characters[end]});
    }
    return print_json({{"text", *wrapped},
                       {"ids", encoding->ids},
                       {"tokens", encoding->tokens},
                       {"offsets", offsets},
                       {"bytes", spans}});
  }
  std::string out;
  for (std::size_t i = 0; i < encoding->ids.size(); ++i) {
    const auto& [begin, end] = encoding->bytes[i];
    out += fmt::format("{:>7}  {:>9}..{:<9}  {}\n", encoding->ids[i], begin, end, shown(encoding->tokens[i]));
  }
  note(fmt::format("{} tokens, {} bytes; {}", with_commas(encoding->ids.size()), with_commas(wrapped->size()),
                   (*tokenizer)->description()));
  return print(out);
}

Expected<std::vector<std::int32_t>> parse_ids(const std::string& text) {
  std::vector<std::int32_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == ',' || *at == ' ') {
      ++at;
      continue;
    }
    std::int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (next != end && *next != ',' && *next != ' ')) {
      return fail(ErrorKind::usage, fmt::format("\"{}\" is not a list of token ids", text.substr(0, 60)), "--ids",
                  "Write whole numbers with commas between: 1,2,3");
    }
    ids.push_back(id);
    at = next;
  }
  return ids;
}

Expected<void> run_detokenize(const DetokenizeOptions& options) {
  const auto tokenizer = tokenizer_of(options.source);
  if (!tokenizer) return fail(tokenizer.error());
  const auto ids = parse_ids(options.ids);
  if (!ids) return fail(ids.error());
  for (const std::int32_t id : *ids) {
    if ((*tokenizer)->token_text(id).empty()) {
      return fail(ErrorKind::usage, fmt::format("there is no token with the id {}", id), "--ids",
                  fmt::format("The tokenizer has {} tokens", with_commas((*tokenizer)->vocabulary_size())));
    }
  }
  return print((*tokenizer)->decode(*ids, options.skip_special) + "\n");
}

void add_source(CLI::App& command, Source& source) {
  auto* group = command.add_option_group("tokenizer", "One of:");
  group->add_option("--tokenizer", source.tokenizer, "tokenizer.json, SentencePiece model or GGUF file");
  group->add_option("--checkpoint", source.checkpoint, "Checkpoint: its folder, or its GGUF file");
  group->require_option(1);
}

}  // namespace

void add_tokenize(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text, with their ids and places in it");
  add_source(*command, options->source);
  auto* input = command->add_option_group("input", "One of:");
  input->add_option("--text", options->text, "The text itself");
  input->add_option("--file", options->file, "A text file");
  input->require_option(1);
  command->add_option("--format", options->format, "Chat format: raw, chatml, llama2, llama3, olmo, tulu")
      ->capture_default_str();
  command->add_flag("--special", options->special, "With the tokens that the tokenizer's template adds");
  command->add_flag("--json", options->json, "Ids, tokens, offsets in characters and in bytes as JSON");
  command->callback([options, &chosen] { chosen.run = [options] { return run_tokenize(*options); }; });
}

void add_detokenize(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<DetokenizeOptions>();
  CLI::App* command = app.add_subcommand("detokenize", "Show the text of token ids");
  add_source(*command, options->source);
  command->add_option("--ids", options->ids, "Token ids: 1,2,3")->required();
  command->add_flag("--skip-special", options->skip_special, "Leave special tokens out");
  command->callback([options, &chosen] { chosen.run = [options] { return run_detokenize(*options); }; });
}

}  // namespace moescope::cli
