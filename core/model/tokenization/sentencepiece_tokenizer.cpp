#include "core/model/tokenization/sentencepiece_tokenizer.h"

#include <fmt/format.h>

#include "core/model/json_file.h"
#include "core/model/tokenization/added_tokens.h"
#include "core/model/tokenization/decoder.h"
#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/pipeline.h"
#include "core/model/tokenization/sentencepiece_file.h"
#include "core/model/tokenization/sentencepiece_module.h"

namespace moescope::tokenization {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t max_config_bytes = 16ULL << 20U;

class SentencePieceTokenizer final : public Tokenizer {
 public:
  static Expected<std::shared_ptr<const Tokenizer>> load(std::string_view model, const std::filesystem::path& file) {
    const auto facts = check_sentencepiece(model);
    if (!facts) return fail(facts.error());
    std::shared_ptr<SentencePieceTokenizer> out(new SentencePieceTokenizer);
    auto loaded = load_sentencepiece_model(model);
    if (!loaded) return fail(loaded.error());
    out->model_ = std::move(*loaded);
    out->facts_ = *facts;
    if (auto read = out->read_control_pieces(); !read) return fail(read.error());
    out->read_template(file.parent_path() / "tokenizer_config.json");
    auto decoder = Decoder::from_json(out->decoder_json());
    if (!decoder) return fail(decoder.error());
    out->decoder_ = std::move(*decoder);
    return out;
  }

  Expected<Encoding> encode(std::string_view text, bool special) const override {
    Encoding out;
    if (special) add_template(begin_, out);
    const AlignedText checked = checked_text(text);
    for (const TextPart& part : control_.raw().split(checked.text())) {
      if (part.id >= 0) {
        out.ids.push_back(part.id);
        out.tokens.push_back(token_text(part.id));
        out.bytes.push_back(checked.origin(part.begin, part.end));
      } else if (auto done = encode_part(checked, part, out); !done) {
        return fail(done.error());
      }
    }
    if (special) add_template(end_, out);
    return out;
  }

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int32_t id : ids) {
      if (!known(id) || (skip_special && control_.find(id) != nullptr)) continue;
      tokens.push_back(token_text(id));
    }
    return decoder_.decode(std::move(tokens));
  }

  std::string token_bytes(std::int32_t id) const override {
    const std::string text = token_text(id);
    return control_.find(id) != nullptr ? text : decoder_.bytes_of(text);
  }
  std::string token_text(std::int32_t id) const override { return known(id) ? model_->piece(id) : std::string(); }
  std::size_t vocabulary_size() const override { return facts_.pieces; }
  std::string description() const override {
    return fmt::format("SentencePiece {}, {} tokens", facts_.kind, facts_.pieces);
  }

 private:
  SentencePieceTokenizer() = default;
  std::unique_ptr<const SentencePieceModel> model_;
  SentencePieceFacts facts_;
  AddedTokens control_;
  Decoder decoder_;
  std::optional<std::int32_t> begin_, end_;

  [[nodiscard]] bool known(std::int32_t id) const { return id >= 0 && id < model_->size(); }

  Expected<void> read_control_pieces() {
    Json list = Json::array();
    for (std::int32_t id = 0; id < model_->size(); ++id) {
      if (!model_->is_control(id) && !model_->is_unknown(id)) continue;
      list.push_back({{"id", static_cast<std::uint32_t>(id)},
                      {"content", model_->piece(id)},
                      {"special", true},
                      {"normalized", false}});
    }
    auto added = AddedTokens::from_json(list, Normalizer());
    if (!added) return fail(added.error());
    control_ = std::move(*added);
    return {};
  }

  // Texts begin with the begin token and have no end token unless the configuration says otherwise.
  void read_template(const std::filesystem::path& config) {
    Json json;
    std::error_code error;
    if (std::filesystem::exists(config, error)) {
      const auto text = read_small_file(config, max_config_bytes);
      auto parsed = text ? parse_json_text(*text, config) : fail(text.error());
      if (parsed) json = std::move(*parsed);
    }
    if (known(model_->begin_id()) && bool_or(json, "add_bos_token", true)) begin_ = model_->begin_id();
    if (known(model_->end_id()) && bool_or(json, "add_eos_token", false)) end_ = model_->end_id();
  }

  [[nodiscard]] Json decoder_json() const {
    Json steps = Json::array();
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}});
    steps.push_back({{"type", "ByteFallback"}});
    steps.push_back({{"type", "Fuse"}});
    if (facts_.dummy_prefix) {
      const unsigned start = facts_.space_as_suffix ? 0 : 1;
      steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", start}, {"stop", 1U - start}});
    }
    return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
  }

  void add_template(const std::optional<std::int32_t>& id, Encoding& out) const {
    if (!id) return;
    out.ids.push_back(*id);
    out.tokens.push_back(token_text(*id));
    out.bytes.emplace_back(0, 0);
  }

  Expected<void> encode_part(const AlignedText& text, const TextPart& part, Encoding& out) const {
    const std::string_view input = std::string_view(text.text()).substr(part.begin, part.end - part.begin);
    std::vector<SentencePiecePart> all;
    if (const std::string wrong = model_->encode(input, all); !wrong.empty()) {
      return fail(ErrorKind::input, "SentencePiece cannot encode the text: " + wrong);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      // The bytes of one character share its range, which the library gives to the last of them.
      std::size_t last = i;
      while (last + 1 < all.size() && model_->is_byte(all[last].id) && all[last].begin == all[last].end) ++last;
      out.ids.push_back(all[i].id);
      out.tokens.push_back(all[i].piece);
      out.bytes.push_back(range(text, part.begin + all[i].begin, part.begin + all[last].end));
    }
    return {};
  }

  // Where bytes [begin, end) of the checked text stand in the user's. A piece of a prefix alone has no bytes.
  static ByteRange range(const AlignedText& text, std::size_t begin, std::size_t end) {
    if (begin < end) return text.origin(begin, end);
    const std::size_t at = text.empty()          ? 0
                           : begin < text.size() ? text.origin(begin, begin + 1).first
                                                 : text.origin(text.size() - 1, text.size()).second;
    return {at, at};
  }
};

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> load_sentencepiece(std::string_view model,
                                                              const std::filesystem::path& file) {
  try {
    auto tokenizer = SentencePieceTokenizer::load(model, file);
    if (!tokenizer && tokenizer.error().where.empty()) tokenizer.error().where = file.string();
    return tokenizer;
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the SentencePiece model cannot be used: {}", e.what()), file.string(),
                "Copy or download the file again");
  }
}

}  // namespace moescope::tokenization
