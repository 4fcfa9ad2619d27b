#include "core/model/tokenization/pipeline.h"

#include <fmt/format.h>

#include <unordered_map>

#include "core/model/tokenization/bpe.h"
#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

// The steps in the order of the reference: added tokens, normaliser, words, model, template.
class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(Pipeline steps) : steps_(std::move(steps)) {
    size_ = steps_.model->size();
    for (const AddedToken& token : steps_.added.all()) size_ += steps_.model->text_of(token.id) ? 0 : 1;
  }

  Expected<Encoding> encode(std::string_view text, bool special) const override;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override;
  std::string token_bytes(std::int32_t id) const override;
  std::string token_text(std::int32_t id) const override;
  std::size_t vocabulary_size() const override { return size_; }
  std::string description() const override { return fmt::format("{}, {} tokens", steps_.kind, size_); }

 private:
  Pipeline steps_;
  std::size_t size_ = 0;

  // Tokens of the words met so far in one text.
  struct Seen {
    std::size_t first = 0, count = 0;
  };
  struct WordCache {
    std::unordered_map<std::string, Seen> words;
    std::vector<WordToken> tokens;
  };

  Expected<void> encode_piece(AlignedText piece, WordCache& cache, Encoding& out) const;
  Expected<void> encode_words(AlignedText piece, WordCache& cache, Encoding& out) const;
  void add_template(const std::vector<std::int32_t>& ids, Encoding& out) const;
};

void PipelineTokenizer::add_template(const std::vector<std::int32_t>& ids, Encoding& out) const {
  for (const std::int32_t id : ids) {
    out.ids.push_back(id);
    out.tokens.push_back(token_text(id));
    out.bytes.emplace_back(0, 0);
  }
}

Expected<Encoding> PipelineTokenizer::encode(std::string_view text, bool special) const {
  Encoding out;
  WordCache cache;
  if (special) add_template(steps_.post.before, out);
  const AlignedText checked = checked_text(text);
  for (const TextPart& part : steps_.added.raw().split(checked.text())) {
    if (part.id >= 0) {
      out.ids.push_back(part.id);
      out.tokens.push_back(checked.text().substr(part.begin, part.end - part.begin));
      out.bytes.push_back(checked.origin(part.begin, part.end));
      continue;
    }
    if (auto ok = encode_piece(checked.part(part.begin, part.end), cache, out); !ok) return fail(std::move(ok.error()));
  }
  if (special) add_template(steps_.post.after, out);
  return out;
}

Expected<void> PipelineTokenizer::encode_piece(AlignedText piece, WordCache& cache, Encoding& out) const {
  auto normalised = steps_.normalizer.apply(std::move(piece));
  if (!normalised) return fail(std::move(normalised.error()));
  for (const TextPart& part : steps_.added.normalised().split(normalised->text())) {
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

Expected<void> PipelineTokenizer::encode_words(AlignedText piece, WordCache& cache, Encoding& out) const {
  auto words = steps_.pre.apply(std::move(piece));
  if (!words) return fail(std::move(words.error()));
  for (const auto& [begin, end] : words->cuts) {
    const std::string word = words->text.text().substr(begin, end - begin);
    auto [it, fresh] = cache.words.try_emplace(word);
    if (fresh) {
      it->second.first = cache.tokens.size();
      steps_.model->encode(word, cache.tokens);
      it->second.count = cache.tokens.size() - it->second.first;
    }
    for (std::size_t i = 0; i < it->second.count; ++i) {
      const WordToken& token = cache.tokens[it->second.first + i];
      out.ids.push_back(token.id);
      const std::string* text = steps_.model->text_of(token.id);
      out.tokens.push_back(text ? *text : std::string());
      out.bytes.push_back(words->text.origin(begin + token.begin, begin + token.end));
    }
  }
  return {};
}

std::string PipelineTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    const AddedToken* added = steps_.added.find(id);
    if (added && added->special && skip_special) continue;
    if (std::string text = token_text(id); !text.empty()) tokens.push_back(std::move(text));
  }
  return steps_.decoder.decode(std::move(tokens));
}

std::string PipelineTokenizer::token_bytes(std::int32_t id) const {
  if (const AddedToken* added = steps_.added.find(id)) return added->content;
  const std::string* text = steps_.model->text_of(id);
  return text ? steps_.decoder.bytes_of(*text) : std::string();
}

std::string PipelineTokenizer::token_text(std::int32_t id) const {
  if (const AddedToken* added = steps_.added.find(id)) return added->content;
  const std::string* text = steps_.model->text_of(id);
  return text ? *text : std::string();
}

}  // namespace

AlignedText checked_text(std::string_view text) {
  if (is_valid_utf8(text)) return {text, 0};
  AlignedText out;
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = well_formed_length(text, at, bad);
    const std::size_t step = length != 0 ? length : bad;
    out.append(length != 0 ? text.substr(at, length) : "\uFFFD", {at, at + step});
    at += step;
  }
  return out;
}

std::shared_ptr<const Tokenizer> make_tokenizer(Pipeline pipeline) {
  return std::make_shared<const PipelineTokenizer>(std::move(pipeline));
}

Expected<Pipeline> pipeline_of_json(const nlohmann::json& json) {
  const auto part = [&json](const char* key) {
    const nlohmann::json* value = member(json, key);
    return value ? *value : nlohmann::json();
  };
  auto normalizer = Normalizer::from_json(part("normalizer"));
  if (!normalizer) return fail(std::move(normalizer.error()));
  auto pre = PreTokenizer::from_json(part("pre_tokenizer"));
  if (!pre) return fail(std::move(pre.error()));
  const nlohmann::json* model_json = member(json, "model");
  if (!model_json) {
    return fail(ErrorKind::input, "the file has no \"model\"", {},
                "This is not a tokenizer.json of the tokenizers library");
  }
  auto model = BpeModel::from_json(*model_json, pre->byte_level());
  if (!model) return fail(std::move(model.error()));
  auto added = AddedTokens::from_json(part("added_tokens"), *normalizer);
  if (!added) return fail(std::move(added.error()));
  auto post = read_post_processor(part("post_processor"));
  if (!post) return fail(std::move(post.error()));
  auto decoder = Decoder::from_json(part("decoder"));
  if (!decoder) return fail(std::move(decoder.error()));
  Pipeline steps;
  steps.kind = pre->byte_level() ? "byte-level BPE" : "character-level BPE";
  steps.normalizer = std::move(*normalizer);
  steps.pre = std::move(*pre);
  steps.model = std::make_unique<const BpeModel>(std::move(*model));
  steps.added = std::move(*added);
  steps.post = std::move(*post);
  steps.decoder = std::move(*decoder);
  return steps;
}

}  // namespace moescope::tokenization
