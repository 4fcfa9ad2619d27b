#include "core/model/tokenizer.h"

#include <fmt/format.h>

#include <fstream>

#include "core/io/gguf.h"
#include "core/model/json_file.h"
#include "core/model/tokenization/gguf_vocabulary.h"
#include "core/model/tokenization/pipeline.h"
#include "core/model/tokenization/sentencepiece_tokenizer.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_file_bytes = 256ULL << 20U;

Expected<std::shared_ptr<const Tokenizer>> load_json(std::string_view text, const fs::path& file) {
  auto json = parse_json_text(text, file);
  if (!json) return fail(std::move(json.error()));
  try {
    auto steps = tokenization::pipeline_of_json(*json);
    if (steps) return tokenization::make_tokenizer(std::move(*steps));
    Error error = std::move(steps.error());
    error.where = error.where.empty() ? file.string() : fmt::format("{}, {}", file.string(), error.where);
    return fail(std::move(error));
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::input, fmt::format("the file is not a tokenizer: {}", e.what()), file.string());
  }
}

Expected<std::shared_ptr<const Tokenizer>> load_gguf(const fs::path& file) {
  const auto gguf = read_gguf(file);
  if (!gguf) return fail(gguf.error());
  auto tokenizer = tokenization::tokenizer_of_gguf(*gguf);
  if (tokenizer && *tokenizer == nullptr) {
    return fail(ErrorKind::input, "the GGUF file has no vocabulary", file.string(), "Use the model on token ids");
  }
  return tokenizer;
}

// The first bytes of a file; empty when it cannot be read.
std::string first_bytes(const fs::path& file) {
  std::string out(16, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount())));
  return out;
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> load_tokenizer(const fs::path& file) {
  std::error_code error;
  const std::string front = fs::is_regular_file(file, error) ? first_bytes(file) : std::string();
  if (looks_like_gguf(std::as_bytes(std::span(front)))) return load_gguf(file);
  auto text = read_small_file(file, max_file_bytes);
  if (!text) return fail(std::move(text.error()));
  // A SentencePiece model begins with the tag of its first piece.
  if (!text->empty() && text->front() == tokenization::sentencepiece_first_byte && file.extension() != ".json") {
    return tokenization::load_sentencepiece(*text, file);
  }
  return load_json(*text, file);
}

std::optional<fs::path> find_tokenizer(const fs::path& folder) {
  std::error_code error;
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    if (fs::exists(folder / name, error)) return folder / name;
  }
  return std::nullopt;
}

}  // namespace moescope
