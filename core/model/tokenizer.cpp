#include "core/model/tokenizer.h"

#include <fmt/format.h>

#include <unordered_map>

#include "core/model/json_file.h"
#include "core/model/tokenization/added_tokens.h"
#include "core/model/tokenization/bpe.h"
#include "core/model/tokenization/decoder.h"
#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/normalizer.h"
#include "core/model/tokenization/post_processor.h"
#include "core/model/tokenization/pre_tokenizer.h"
#include "core/model/tokenization/utf8.h"

namespace moescope {
namespace {

namespace tk = tokenization;

constexpr std::uint64_t max_file_bytes = 256ULL << 20U;

// The steps of tokenizer.json, put together in the order of the reference: added tokens, normaliser, words, BPE,
// template.
class JsonTokenizer final : public Tokenizer {
 public:
  JsonTokenizer(tk::Normalizer normalizer, tk::PreTokenizer pre, tk::BpeModel model, tk::AddedTokens added,
                tk::PostProcessor post, tk::Decoder decoder)
      : normalizer_(std::move(normalizer)),
        pre_(std::move(pre)),
        model_(std::move(model)),
        added_(std::move(added)),
        post_(std::move(post)),
        decoder_(std::move(decoder)) {
    size_ = model_.size();
    for (const tk::AddedToken& token : added_.all()) size_ += model_.text_of(token.id) ? 0 : 1;
  }

  Expected<Encoding> encode(std::string_view text, bool special) const override;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override;
  std::string token_bytes(std::int32_t id) const override;
  std::string token_text(std::int32_t id) const override;
  std::size_t vocabulary_size() const override { return size_; }
  std::string description() const override {
    return fmt::format("{} BPE, {} tokens", pre_.byte_level() ? "byte-level" : "character-level", size_);
  }

 private:
  tk::Normalizer normalizer_;
  tk::PreTokenizer pre_;
  tk::BpeModel model_;
  tk::AddedTokens added_;
  tk::PostProcessor post_;
  tk::Decoder decoder_;
  std::size_t size_ = 0;

  // Tokens of the words met so far in one text.
  struct Seen {
    std::size_t first = 0, count = 0;
  };
  struct WordCache {
    std::unordered_map<std::string, Seen> words;
    std::vector<tk::WordToken> tokens;
  };

  Expected<void> encode_piece(tk::AlignedText piece, WordCache& cache, Encoding& out) const;
  Expected<void> encode_words(tk::AlignedText piece, WordCache& cache, Encoding& out) const;
  void add_template(const std::vector<std::int32_t>& ids, Encoding& out) const;
};

// The user's text as valid UTF-8; ill-formed bytes become U+FFFD that still know where they stood.
tk::AlignedText checked_text(std::string_view text) {
  if (tk::is_valid_utf8(text)) return {text, 0};
  tk::AlignedText out;
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = tk::well_formed_length(text, at, bad);
    const std::size_t step = length != 0 ? length : bad;
    out.append(length != 0 ? text.substr(at, length) : "\uFFFD", {at, at + step});
    at += step;
  }
  return out;
}

void JsonTokenizer::add_template(const std::vector<std::int32_t>& ids, Encoding& out) const {
  for (const std::int32_t id : ids) {
    out.ids.push_back(id);
    out.tokens.push_back(token_text(id));
    out.bytes.emplace_back(0, 0);
  }
}

Expected<Encoding> JsonTokenizer::encode(std::string_view text, bool special) const {
  Encoding out;
  WordCache cache;
  if (special) add_template(post_.before, out);
  const tk::AlignedText checked = checked_text(text);
  for (const tk::TextPart& part : added_.raw().split(checked.text())) {
    if (part.id >= 0) {
      out.ids.push_back(part.id);
      out.tokens.push_back(checked.text().substr(part.begin, part.end - part.begin));
      out.bytes.push_back(checked.origin(part.begin, part.end));
      continue;
    }
    if (auto ok = encode_piece(checked.part(part.begin, part.end), cache, out); !ok) return fail(std::move(ok.error()));
  }
  if (special) add_template(post_.after, out);
  return out;
}

Expected<void> JsonTokenizer::encode_piece(tk::AlignedText piece, WordCache& cache, Encoding& out) const {
  auto normalised = normalizer_.apply(std::move(piece));
  if (!normalised) return fail(std::move(normalised.error()));
  for (const tk::TextPart& part : added_.normalised().split(normalised->text())) {
    if (part.id >= 0) {
      out.ids.push_back(part.id);
      out.tokens.push_back(normalised->text().substr(part.begin, part.end - part.begin));
      out.bytes.push_back(normalised->origin(part.begin, part.end));
      continue;
    }
    if (auto ok = encode_words(normalised->part(part.begin, part.end), cache, out); !ok) return ok;
  }
  return {};
}

Expected<void> JsonTokenizer::encode_words(tk::AlignedText piece, WordCache& cache, Encoding& out) const {
  auto words = pre_.apply(std::move(piece));
  if (!words) return fail(std::move(words.error()));
  for (const auto& [begin, end] : words->cuts) {
    const std::string word = words->text.text().substr(begin, end - begin);
    auto [it, fresh] = cache.words.try_emplace(word);
    if (fresh) {
      it->second.first = cache.tokens.size();
      model_.encode(word, cache.tokens);
      it->second.count = cache.tokens.size() - it->second.first;
    }
    for (std::size_t i = 0; i < it->second.count; ++i) {
      const tk::WordToken& token = cache.tokens[it->second.first + i];
      out.ids.push_back(token.id);
      const std::string* text = model_.text_of(token.id);
      out.tokens.push_back(text ? *text : std::string());
      out.bytes.push_back(words->text.origin(begin + token.begin, begin + token.end));
    }
  }
  return {};
}

std::string JsonTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    const tk::AddedToken* added = added_.find(id);
    if (added && added->special && skip_special) continue;
    if (std::string text = token_text(id); !text.empty()) tokens.push_back(std::move(text));
  }
  return decoder_.decode(std::move(tokens));
}

std::string JsonTokenizer::token_bytes(std::int32_t id) const {
  if (const tk::AddedToken* added = added_.find(id)) return added->content;
  const std::string* text = model_.text_of(id);
  return text ? decoder_.bytes_of(*text) : std::string();
}

std::string JsonTokenizer::token_text(std::int32_t id) const {
  if (const tk::AddedToken* added = added_.find(id)) return added->content;
  const std::string* text = model_.text_of(id);
  return text ? *text : std::string();
}

Expected<std::shared_ptr<const Tokenizer>> assemble(const nlohmann::json& json) {
  const auto part = [&json](const char* key) {
    const nlohmann::json* value = tk::member(json, key);
    return value ? *value : nlohmann::json();
  };
  auto normalizer = tk::Normalizer::from_json(part("normalizer"));
  if (!normalizer) return fail(std::move(normalizer.error()));
  auto pre = tk::PreTokenizer::from_json(part("pre_tokenizer"));
  if (!pre) return fail(std::move(pre.error()));
  const nlohmann::json* model_json = tk::member(json, "model");
  if (!model_json) {
    return fail(ErrorKind::input, "the file has no \"model\"", {},
                "This is not a tokenizer.json of the tokenizers library");
  }
  auto model = tk::BpeModel::from_json(*model_json, pre->byte_level());
  if (!model) return fail(std::move(model.error()));
  auto added = tk::AddedTokens::from_json(part("added_tokens"), *normalizer);
  if (!added) return fail(std::move(added.error()));
  auto post = tk::read_post_processor(part("post_processor"));
  if (!post) return fail(std::move(post.error()));
  auto decoder = tk::Decoder::from_json(part("decoder"));
  if (!decoder) return fail(std::move(decoder.error()));
  return std::make_shared<const JsonTokenizer>(std::move(*normalizer), std::move(*pre), std::move(*model),
                                               std::move(*added), std::move(*post), std::move(*decoder));
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& file) {
  auto text = read_small_file(file, max_file_bytes);
  if (!text) return fail(std::move(text.error()));
  auto json = parse_json_text(*text, file);
  if (!json) return fail(std::move(json.error()));
  try {
    auto tokenizer = assemble(*json);
    if (!tokenizer) {
      Error error = std::move(tokenizer.error());
      error.where = error.where.empty() ? file.string() : fmt::format("{}, {}", file.string(), error.where);
      return fail(std::move(error));
    }
    return tokenizer;
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the file is not a tokenizer: {}", e.what()), file.string());
  }
}

}  // namespace moescope
