#include "plugins/torch_engine/train/corpus.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace moescope::train {
namespace {

constexpr unsigned long long largest_corpus = 1ull << 30;

Expected<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ErrorKind::input, "cannot open the corpus", file.string(), "Check the path.");
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (file.extension() != ".zst") return bytes;
  const unsigned long long size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  std::string text;
  if (size == ZSTD_CONTENTSIZE_ERROR) {
    return fail(ErrorKind::input, "not a zstd file", file.string(), "Build the corpus again.");
  }
  // The size is absent when the compressor read from a pipe: then the text is taken in blocks.
  if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > largest_corpus) {
    return fail(ErrorKind::input, fmt::format("the corpus claims {} bytes", size), file.string(), "Split it.");
  }
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::string block(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in_buffer{bytes.data(), bytes.size(), 0};
  std::size_t left = 1;
  while (in_buffer.pos < in_buffer.size && text.size() <= largest_corpus) {
    ZSTD_outBuffer out_buffer{block.data(), block.size(), 0};
    left = ZSTD_decompressStream(context, &out_buffer, &in_buffer);
    if (ZSTD_isError(left) != 0) break;
    text.append(block.data(), out_buffer.pos);
  }
  ZSTD_freeDCtx(context);
  if (left != 0) {
    return fail(ErrorKind::input, "the compressed corpus is damaged or too large", file.string(),
                "Build the corpus again.");
  }
  return text;
}

}  // namespace

Expected<std::vector<Document>> read_documents(const std::filesystem::path& file) {
  const auto text = read_text(file);
  if (!text) return Unexpected(text.error());
  std::vector<Document> documents;
  std::size_t from = 0;
  for (std::size_t line = 1; from < text->size(); ++line) {
    const std::size_t end = std::min(text->find('\n', from), text->size());
    const std::string_view row = std::string_view(*text).substr(from, end - from);
    from = end + 1;
    if (row.empty()) continue;
    const auto parsed = nlohmann::json::parse(row, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("text") || !parsed["text"].is_string()) {
      return fail(ErrorKind::input, "not a JSON object with a text", fmt::format("{}:{}", file.string(), line),
                  "Each line is {\"text\": …, \"domain\": …}.");
    }
    Document document{parsed["text"].get<std::string>(), {}};
    if (parsed.contains("domain") && parsed["domain"].is_string()) {
      document.domain = parsed["domain"].get<std::string>();
    }
    documents.push_back(std::move(document));
  }
  return documents;
}

Expected<TokenStreams> tokenise(const std::vector<Document>& documents, const Tokenizer& tokenizer,
                                std::int32_t end_of_text) {
  std::map<std::string, std::vector<std::int32_t>> by_domain;
  for (const Document& document : documents) {
    auto encoded = tokenizer.encode(document.text, false);
    if (!encoded) return Unexpected(encoded.error());
    auto& stream = by_domain[document.domain];
    stream.insert(stream.end(), encoded->ids.begin(), encoded->ids.end());
    stream.push_back(end_of_text);
  }
  TokenStreams streams;
  for (auto& [domain, tokens] : by_domain) {
    streams.domains.push_back(domain);
    streams.tokens.push_back(std::move(tokens));
  }
  return streams;
}

std::vector<std::int64_t> draw_batch(const TokenStreams& streams, std::size_t count, std::size_t length,
                                     std::mt19937_64& random) {
  std::vector<std::int64_t> batch;
  batch.reserve(count * (length + 1));
  for (std::size_t i = 0; i < count; ++i) {
    const auto& tokens = streams.tokens[i % streams.tokens.size()];
    // The modulus' bias is below 1e-12 here and, unlike the library's distributions, the same everywhere.
    const std::size_t start = random() % (tokens.size() - length);
    for (std::size_t t = 0; t <= length; ++t) batch.push_back(tokens[start + t]);
  }
  return batch;
}

double unigram_loss(const TokenStreams& train, const std::vector<std::vector<std::int32_t>>& held_out,
                    std::size_t vocabulary, bool balanced) {
  std::vector<double> probability(vocabulary, 0.0);
  double total = 0.0;
  std::size_t largest = 0;
  for (const auto& tokens : train.tokens) largest = std::max(largest, tokens.size());
  for (const auto& tokens : train.tokens) {
    const double weight = balanced ? static_cast<double>(largest) / static_cast<double>(tokens.size()) : 1.0;
    for (const std::int32_t id : tokens) probability[static_cast<std::size_t>(id)] += weight;
    total += weight * static_cast<double>(tokens.size());
  }
  for (double& p : probability) p = (p + 1.0) / (total + static_cast<double>(vocabulary));
  double sum = 0.0;
  std::size_t n = 0;
  for (const auto& sequence : held_out) {
    for (std::size_t t = 1; t < sequence.size(); ++t, ++n) {
      sum -= std::log(probability[static_cast<std::size_t>(sequence[t])]);
    }
  }
  return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

}  // namespace moescope::train
