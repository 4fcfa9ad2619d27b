#include "core/model/tokenization/gguf_vocabulary.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <unordered_set>

#include "core/base/utf8.h"
#include "core/model/tokenization/bpe.h"
#include "core/model/tokenization/gguf_words.h"
#include "core/model/tokenization/pipeline.h"
#include "core/model/tokenization/score_model.h"

// Keys: checkpoints.md, section 5.6.
namespace moescope::tokenization {
namespace {

using Json = nlohmann::json;

constexpr const char* prefix = "tokenizer.ggml.";

enum TokenType : std::int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

// Reads the keys of a vocabulary; the first problem is kept.
class Vocabulary {
 public:
  static Expected<Vocabulary> read(const GgufFile& file) {
    Vocabulary out(file);
    const GgufValue* const tokens = out.value("tokens");
    if (tokens == nullptr || tokens->texts() == nullptr || tokens->texts()->empty()) {
      return out.problem("tokens", "the vocabulary has no list of tokens");
    }
    out.tokens = tokens->texts();
    if (out.tokens->size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      return out.problem("tokens", "the vocabulary has more tokens than there are ids");
    }
    for (const std::string& token : *out.tokens) {
      if (!is_valid_utf8(token)) return out.problem("tokens", "a token is not UTF-8");
    }
    if (const GgufValue* const types = out.value("token_type")) {
      out.types = types->integers();
      if (out.types == nullptr || out.types->size() != out.tokens->size()) {
        return out.problem("token_type", "the types of the tokens are not as many integers");
      }
    }
    return out;
  }

  const std::vector<std::string>* tokens = nullptr;
  const std::vector<std::int64_t>* types = nullptr;  // null: all are normal

  [[nodiscard]] std::int64_t type(std::size_t id) const { return types == nullptr ? normal : (*types)[id]; }
  [[nodiscard]] const GgufValue* value(const std::string& key) const { return file_->find(prefix + key); }
  [[nodiscard]] bool flag(const std::string& key, bool fallback) const {
    const GgufValue* const found = value(key);
    return found == nullptr ? fallback : found->boolean().value_or(fallback);
  }
  [[nodiscard]] Unexpected problem(const std::string& key, std::string what) const {
    return fail(ErrorKind::input, std::move(what),
                fmt::format("{}, {}{}", file_->files.front()->path().string(), prefix, key),
                "Convert the model again; it still runs on token ids");
  }
  // An error of a step, with the file's name.
  [[nodiscard]] Unexpected placed(Error error) const {
    const std::string file = file_->files.front()->path().string();
    error.where = error.where.empty() ? file : fmt::format("{}, {}", file, error.where);
    return fail(std::move(error));
  }

  // The id under a key; nothing when there is none. Error: beyond the vocabulary.
  [[nodiscard]] Expected<std::optional<std::int32_t>> id(const std::string& key) const {
    const GgufValue* const found = value(key);
    if (found == nullptr) return std::nullopt;
    const auto given = found->integer();
    // Converters write the largest unsigned number for "none".
    if (given && (*given == -1 || *given == std::numeric_limits<std::uint32_t>::max())) return std::nullopt;
    if (!given || *given < 0 || *given >= static_cast<std::int64_t>(tokens->size())) {
      return problem(key, "a special token has an id that the vocabulary does not have");
    }
    return static_cast<std::int32_t>(*given);
  }

  // Tokens that are found in the text as they are: control ones, and those that the user defined.
  [[nodiscard]] Json added_tokens() const {
    Json out = Json::array();
    for (std::size_t i = 0; i < tokens->size(); ++i) {
      const std::int64_t kind = type(i);
      if (kind != control && kind != user_defined && kind != unknown) continue;
      out.push_back({{"id", i}, {"content", (*tokens)[i]}, {"special", kind != user_defined}, {"normalized", false}});
    }
    return out;
  }

  [[nodiscard]] Expected<PostProcessor> post_processor(bool begin_by_default) const {
    const auto begin = id("bos_token_id"), end = id("eos_token_id");
    if (!begin) return fail(begin.error());
    if (!end) return fail(end.error());
    PostProcessor out;
    if (*begin && flag("add_bos_token", begin_by_default)) out.before.push_back(**begin);
    if (*end && flag("add_eos_token", false)) out.after.push_back(**end);
    return out;
  }

 private:
  explicit Vocabulary(const GgufFile& file) : file_(&file) {}
  const GgufFile* file_;
};

// What all kinds have in common, once model and words are there.
Expected<std::shared_ptr<const Tokenizer>> finish(const Vocabulary& vocabulary, Pipeline steps, bool begin,
                                                  const Json& decoder) {
  auto added = AddedTokens::from_json(vocabulary.added_tokens(), steps.normalizer);
  if (!added) return vocabulary.placed(std::move(added.error()));
  steps.added = std::move(*added);
  auto post = vocabulary.post_processor(begin);
  if (!post) return fail(std::move(post.error()));
  steps.post = std::move(*post);
  auto decoding = Decoder::from_json(decoder);
  if (!decoding) return vocabulary.placed(std::move(decoding.error()));
  steps.decoder = std::move(*decoding);
  return make_tokenizer(std::move(steps));
}

Expected<std::shared_ptr<const Tokenizer>> byte_level(const Vocabulary& vocabulary) {
  const GgufValue* const pre = vocabulary.value("pre");
  const auto words = gguf_words(pre != nullptr && pre->text() != nullptr ? *pre->text() : "");
  if (!words) return vocabulary.placed(words.error());
  const GgufValue* const merges = vocabulary.value("merges");
  if (merges == nullptr || merges->texts() == nullptr) {
    return vocabulary.problem("merges", "the vocabulary has no list of merges");
  }
  // Tokens that the text cannot become by merging may repeat a text: fillers up to the size of the embedding do.
  Json table = Json::object();
  for (const bool merging : {true, false}) {
    for (std::size_t i = 0; i < vocabulary.tokens->size(); ++i) {
      if ((vocabulary.type(i) == normal || vocabulary.type(i) == byte) != merging) continue;
      if (!table.emplace((*vocabulary.tokens)[i], i).second && merging) {
        return vocabulary.problem("tokens", fmt::format("the token {} has the text of another", i));
      }
    }
  }
  Json merge_list = Json::array();
  for (const std::string& merge : *merges->texts()) {
    if (!is_valid_utf8(merge)) return vocabulary.problem("merges", "a merge is not UTF-8");
    merge_list.push_back(merge);
  }
  Pipeline steps;
  auto model = BpeModel::from_json({{"type", "BPE"},
                                    {"vocab", std::move(table)},
                                    {"merges", std::move(merge_list)},
                                    {"ignore_merges", words->ignore_merges}},
                                   true);
  if (!model) return vocabulary.placed(std::move(model.error()));
  auto cut = PreTokenizer::from_json(words->pre_tokenizer);
  if (!cut) return vocabulary.placed(std::move(cut.error()));
  auto normalizer = Normalizer::from_json(words->normalizer);
  if (!normalizer) return vocabulary.placed(std::move(normalizer.error()));
  steps.kind = "byte-level BPE";
  steps.model = std::make_unique<const BpeModel>(std::move(*model));
  steps.pre = std::move(*cut);
  steps.normalizer = std::move(*normalizer);
  return finish(vocabulary, std::move(steps), words->begin, {{"type", "ByteLevel"}});
}

Expected<std::shared_ptr<const Tokenizer>> scored_pieces(const Vocabulary& vocabulary) {
  const GgufValue* const scores = vocabulary.value("scores");
  const std::vector<double>* const numbers = scores == nullptr ? nullptr : scores->reals();
  if (numbers == nullptr || numbers->size() != vocabulary.tokens->size()) {
    return vocabulary.problem("scores", "the scores of the pieces are not as many numbers");
  }
  std::vector<ScoredPiece> pieces;
  pieces.reserve(numbers->size());
  for (std::size_t i = 0; i < numbers->size(); ++i) {
    if (!std::isfinite((*numbers)[i])) return vocabulary.problem("scores", "the score of a piece is not a number");
    const std::int64_t kind = vocabulary.type(i);
    pieces.push_back(
        {(*vocabulary.tokens)[i], static_cast<float>((*numbers)[i]), kind == normal || kind == user_defined});
  }
  const auto stand_in = vocabulary.id("unknown_token_id");
  if (!stand_in) return fail(stand_in.error());
  const Json space_to_mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  Json normalizers = Json::array(), decoders = Json::array();
  const bool prefixed = vocabulary.flag("add_space_prefix", true);
  if (prefixed) normalizers.push_back({{"type", "Prepend"}, {"prepend", "\u2581"}});
  normalizers.push_back(space_to_mark);
  decoders.push_back({{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}});
  decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (prefixed) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1U}, {"stop", 0U}});
  Pipeline steps;
  auto normalizer = Normalizer::from_json({{"type", "Sequence"}, {"normalizers", std::move(normalizers)}});
  if (!normalizer) return vocabulary.placed(std::move(normalizer.error()));
  steps.kind = "SentencePiece by scores";
  steps.model = std::make_unique<const ScoreModel>(std::move(pieces), *stand_in);
  steps.normalizer = std::move(*normalizer);
  return finish(vocabulary, std::move(steps), true, {{"type", "Sequence"}, {"decoders", std::move(decoders)}});
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> tokenizer_of_gguf(const GgufFile& file) {
  const GgufValue* const model = file.find("tokenizer.ggml.model");
  if (model == nullptr || model->text() == nullptr || *model->text() == "none") return nullptr;
  const auto vocabulary = Vocabulary::read(file);
  if (!vocabulary) return fail(vocabulary.error());
  try {
    if (*model->text() == "gpt2") return byte_level(*vocabulary);
    if (*model->text() == "llama") return scored_pieces(*vocabulary);
  } catch (const nlohmann::json::exception& e) {
    return vocabulary->problem("tokens", fmt::format("the vocabulary cannot be read: {}", e.what()));
  }
  return vocabulary->problem("model", fmt::format("the kind of vocabulary \"{}\" is not read; known: gpt2, llama",
                                                  is_valid_utf8(*model->text()) ? *model->text() : "?"));
}

}  // namespace moescope::tokenization
