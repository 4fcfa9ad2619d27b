#include "plugins/torch_engine/train/bpe_trainer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

namespace moescope::train {
namespace {

constexpr char end_of_text[] = "<|endoftext|>";
// The split that byte-level BPE uses before merging: contractions, words, numbers, marks, white space.
constexpr char split_pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct CodeFree {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};
struct MatchFree {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};

// Calls `use` for each piece of the text that merges must stay inside.
template <typename Use>
Expected<void> split(std::string_view text, Use&& use) {
  static const std::unique_ptr<pcre2_code, CodeFree> pattern = [] {
    int code = 0;
    PCRE2_SIZE at = 0;
    std::unique_ptr<pcre2_code, CodeFree> made(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(split_pattern),
                                                             PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at,
                                                             nullptr));
    pcre2_jit_compile(made.get(), PCRE2_JIT_COMPLETE);
    return made;
  }();
  const std::unique_ptr<pcre2_match_data, MatchFree> match(pcre2_match_data_create(1, nullptr));
  std::size_t from = 0;
  while (from < text.size()) {
    const int found = pcre2_match(pattern.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0,
                                  match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return fail(ErrorKind::input, fmt::format("text does not split (PCRE2 error {})", found),
                  fmt::format("byte {}", from), "Give UTF-8 text.");
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
    use(text.substr(span[0], span[1] - span[0]));
    from = span[1];
  }
  return {};
}

using Pair = std::pair<std::int32_t, std::int32_t>;
struct PairHash {
  std::size_t operator()(const Pair& p) const {
    return static_cast<std::size_t>(p.first) * 1000003u + static_cast<std::size_t>(p.second);
  }
};

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count = 0;
};

// Replaces each neighbouring (a, b) by `merged`, left to right.
void merge_in(std::vector<std::int32_t>& ids, Pair pair, std::int32_t merged) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second) {
      ids[out++] = merged;
      ++i;
    } else {
      ids[out++] = ids[i];
    }
  }
  ids.resize(out);
}

// The printable character that stands for a byte in vocabulary files: printable Latin-1 as itself, the others from
// U+0100 upwards in order.
std::string byte_character(unsigned byte) {
  const auto itself = [](unsigned b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  };
  unsigned code = byte;
  if (!itself(byte)) {
    code = 256;
    for (unsigned b = 0; b < byte; ++b) code += itself(b) ? 0u : 1u;
  }
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
}

}  // namespace

Expected<Bpe> train_bpe(const std::vector<WeightedText>& texts, std::size_t vocabulary) {
  std::map<std::string, std::int64_t, std::less<>> counted;
  for (const WeightedText& part : texts) {
    const auto done = split(part.text, [&](std::string_view piece) {
      const auto found = counted.find(piece);
      if (found != counted.end()) {
        found->second += part.weight;
      } else {
        counted.emplace(piece, part.weight);
      }
    });
    if (!done) return Unexpected(done.error());
  }

  Bpe bpe;
  bpe.tokens.emplace_back(end_of_text);
  for (unsigned b = 0; b < 256; ++b) bpe.tokens.emplace_back(1, static_cast<char>(b));

  std::vector<Word> words;
  words.reserve(counted.size());
  std::unordered_map<Pair, std::int64_t, PairHash> counts;
  std::unordered_map<Pair, std::set<std::size_t>, PairHash> where;
  for (const auto& [piece, count] : counted) {
    Word word{{}, count};
    for (const char c : piece) word.ids.push_back(1 + static_cast<unsigned char>(c));
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
      const Pair pair{word.ids[i], word.ids[i + 1]};
      counts[pair] += count;
      where[pair].insert(words.size());
    }
    words.push_back(std::move(word));
  }

  while (bpe.size() < vocabulary) {
    Pair best{-1, -1};
    std::int64_t best_count = 1;
    for (const auto& [pair, count] : counts) {
      if (count > best_count || (count == best_count && best.first >= 0 && pair < best)) {
        best = pair;
        best_count = count;
      }
    }
    if (best.first < 0) break;
    const auto merged = static_cast<std::int32_t>(bpe.size());
    bpe.merges.push_back(best);
    bpe.tokens.push_back(bpe.tokens[static_cast<std::size_t>(best.first)] +
                         bpe.tokens[static_cast<std::size_t>(best.second)]);
    const std::set<std::size_t> touched = std::move(where[best]);
    for (const std::size_t w : touched) {
      Word& word = words[w];
      for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) counts[{word.ids[i], word.ids[i + 1]}] -= word.count;
      merge_in(word.ids, best, merged);
      for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
        const Pair pair{word.ids[i], word.ids[i + 1]};
        counts[pair] += word.count;
        where[pair].insert(w);
      }
    }
    counts.erase(best);
    where.erase(best);
  }
  return bpe;
}

std::string tokenizer_json(const Bpe& bpe) {
  std::vector<std::string> spelled;
  for (std::size_t id = 0; id < bpe.size(); ++id) {
    std::string text;
    if (id == 0) {
      text = end_of_text;
    } else {
      for (const char c : bpe.tokens[id]) text += byte_character(static_cast<unsigned char>(c));
    }
    spelled.push_back(std::move(text));
  }
  nlohmann::ordered_json vocab = nlohmann::ordered_json::object();
  for (std::size_t id = 0; id < spelled.size(); ++id) vocab[spelled[id]] = id;
  nlohmann::ordered_json merges = nlohmann::ordered_json::array();
  for (const auto& [a, b] : bpe.merges) {
    merges.push_back({spelled[static_cast<std::size_t>(a)], spelled[static_cast<std::size_t>(b)]});
  }
  const auto byte_level = [](bool prefix_space, bool trim) {
    return nlohmann::ordered_json{
        {"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", trim}, {"use_regex", true}};
  };
  nlohmann::ordered_json file;
  file["version"] = "1.0";
  file["truncation"] = nullptr;
  file["padding"] = nullptr;
  file["added_tokens"] = {{{"id", 0},
                           {"content", end_of_text},
                           {"single_word", false},
                           {"lstrip", false},
                           {"rstrip", false},
                           {"normalized", false},
                           {"special", true}}};
  file["normalizer"] = nullptr;
  file["pre_tokenizer"] = byte_level(false, true);
  file["post_processor"] = byte_level(true, false);
  file["decoder"] = byte_level(true, true);
  file["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false}};
  file["model"]["vocab"] = std::move(vocab);
  file["model"]["merges"] = std::move(merges);
  return file.dump(1) + "\n";
}

}  // namespace moescope::train
