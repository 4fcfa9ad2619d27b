#include "core/model/tokenization/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "core/model/tokenization/byte_alphabet.h"
#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right)) + 1;
}

std::size_t spread(std::uint64_t key) {
  key ^= key >> 32U;
  key *= 0x9E3779B97F4A7C15ULL;
  return static_cast<std::size_t>(key ^ (key >> 29U));
}

// A possible merge of two neighbours; the lowest rank first, the leftmost on ties.
struct Candidate {
  std::uint32_t rank, left, right;
  std::int32_t left_id, right_id, merged_id;
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;  // priority_queue: the largest is on top
  }
};

constexpr std::uint32_t none = 0xFFFFFFFF;

}  // namespace

void MergeTable::reserve(std::size_t merges) {
  std::size_t capacity = 16;
  while (capacity < merges * 2) capacity *= 2;
  slots_.assign(capacity, Slot{});
  mask_ = capacity - 1;
}

void MergeTable::set(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = pair_key(left, right);
  std::size_t i = spread(key) & mask_;
  while (slots_[i].key != 0 && slots_[i].key != key) i = (i + 1) & mask_;
  slots_[i] = {key, merge};
}

const MergeTable::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  if (slots_.empty()) return nullptr;
  const std::uint64_t key = pair_key(left, right);
  for (std::size_t i = spread(key) & mask_; slots_[i].key != 0; i = (i + 1) & mask_) {
    if (slots_[i].key == key) return &slots_[i].merge;
  }
  return nullptr;
}

Expected<BpeModel> BpeModel::from_json(const nlohmann::json& json, bool byte_level) {
  const std::string type = text_or(json, "type", member(json, "merges") ? "BPE" : "");
  if (type != "BPE") {
    return fail(ErrorKind::input, fmt::format("the tokenizer's model is \"{}\"", type), "model.type",
                "Only BPE is supported; run the model on token ids instead");
  }
  BpeModel model;
  model.byte_level_ = byte_level;
  model.byte_fallback_ = bool_or(json, "byte_fallback", false);
  model.fuse_unknown_ = bool_or(json, "fuse_unk", false);
  model.ignore_merges_ = bool_or(json, "ignore_merges", false);
  if (const auto* dropout = member(json, "dropout"); dropout && *dropout != 0) {
    return fail(ErrorKind::input, "the tokenizer drops merges at random", "model.dropout", "Set it to null");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!text_or(json, key).empty()) {
      return fail(ErrorKind::input, fmt::format("the tokenizer has a {}, which is not supported", key),
                  fmt::format("model.{}", key), "Run the model on token ids instead");
    }
  }
  if (auto ok = model.read_vocabulary(json); !ok) return fail(std::move(ok.error()));
  if (auto ok = model.read_merges(json); !ok) return fail(std::move(ok.error()));
  if (const std::string unknown = text_or(json, "unk_token"); !unknown.empty()) model.unknown_ = model.id_of(unknown);
  return model;
}

Expected<void> BpeModel::read_vocabulary(const nlohmann::json& json) {
  const nlohmann::json* vocabulary = member(json, "vocab");
  if (!vocabulary || !vocabulary->is_object()) {
    return fail(ErrorKind::input, "the tokenizer has no vocabulary", "model.vocab",
                "Take the file from the model again");
  }
  ids_.reserve(vocabulary->size());
  texts_.reserve(vocabulary->size());
  for (const auto& [text, value] : vocabulary->items()) {
    const auto id = as_id(value);
    if (!id) {
      return fail(ErrorKind::input, fmt::format("the id of the token \"{}\" is {}", text, value.dump().substr(0, 40)),
                  "model.vocab", "Ids are whole numbers from 0 to 2147483647");
    }
    const auto [it, added] = ids_.emplace(text, *id);
    if (!texts_.emplace(*id, &it->first).second) {
      return fail(ErrorKind::input, fmt::format("two tokens have the id {}", *id),
                  fmt::format("model.vocab, \"{}\" and \"{}\"", *texts_[*id], text),
                  "Take the file from the model again");
    }
  }
  if (byte_level_) {
    byte_ids_.resize(256);
    for (int b = 0; b < 256; ++b) byte_ids_[b] = id_of(byte_character(static_cast<std::uint8_t>(b))).value_or(-1);
  }
  if (byte_fallback_) {
    fallback_ids_.resize(256);
    for (int b = 0; b < 256; ++b) fallback_ids_[b] = id_of(fmt::format("<0x{:02X}>", b)).value_or(-1);
  }
  return {};
}

Expected<void> BpeModel::read_merges(const nlohmann::json& json) {
  const nlohmann::json* merges = member(json, "merges");
  if (!merges || !merges->is_array()) return fail(ErrorKind::input, "the tokenizer has no merges", "model.merges");
  merges_.reserve(merges->size());
  for (std::size_t rank = 0; rank < merges->size(); ++rank) {
    const nlohmann::json& entry = (*merges)[rank];
    std::string left, right;
    if (entry.is_string()) {
      const auto& text = entry.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space != std::string::npos) {
        left = text.substr(0, space);
        right = text.substr(space + 1);
      }
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      left = entry[0].get<std::string>();
      right = entry[1].get<std::string>();
    }
    const std::string where = fmt::format("model.merges[{}]", rank);
    if (left.empty() || right.empty()) {
      return fail(ErrorKind::input, "a merge is not two tokens", where, "Take the file from the model again");
    }
    const auto left_id = id_of(left);
    const auto right_id = id_of(right);
    const auto merged_id = id_of(left + right);
    if (!left_id || !right_id || !merged_id) {
      const std::string missing = !left_id ? left : !right_id ? right : left + right;
      return fail(ErrorKind::input, fmt::format("a merge needs the token \"{}\", which the vocabulary lacks", missing),
                  where, "Take the file from the model again");
    }
    merges_.set(*left_id, *right_id, {static_cast<std::uint32_t>(rank), *merged_id});
  }
  return {};
}

std::optional<std::int32_t> BpeModel::id_of(std::string_view token) const {
  const auto it = ids_.find(token);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

const std::string* BpeModel::text_of(std::int32_t id) const {
  const auto it = texts_.find(id);
  return it == texts_.end() ? nullptr : it->second;
}

void BpeModel::start_missing(std::string_view word, std::uint32_t begin, std::uint32_t end, std::vector<WordToken>& out,
                             bool& after_unknown) const {
  if (byte_fallback_) {
    const bool all = std::all_of(word.begin() + begin, word.begin() + end,
                                 [this](char c) { return fallback_ids_[static_cast<std::uint8_t>(c)] >= 0; });
    if (all) {
      for (std::uint32_t i = begin; i < end; ++i) {
        out.push_back({fallback_ids_[static_cast<std::uint8_t>(word[i])], begin, end});
      }
      after_unknown = false;
      return;
    }
  }
  if (!unknown_) return;
  if (after_unknown && fuse_unknown_) {
    out.back().end = end;
  } else {
    out.push_back({*unknown_, begin, end});
  }
  after_unknown = true;
}

void BpeModel::start(std::string_view word, std::vector<WordToken>& out) const {
  bool after_unknown = false;
  for (std::uint32_t at = 0; at < word.size();) {
    std::int32_t id = -1;
    std::uint32_t length = 1;
    if (byte_level_) {
      id = byte_ids_[static_cast<std::uint8_t>(word[at])];
    } else {
      length = static_cast<std::uint32_t>(character_at(word, at).length);
      id = id_of(word.substr(at, length)).value_or(-1);
    }
    if (id >= 0) {
      out.push_back({id, at, at + length});
      after_unknown = false;
    } else {
      start_missing(word, at, at + length, out, after_unknown);
    }
    at += length;
  }
}

void BpeModel::merge(std::vector<WordToken>& tokens, std::size_t first) const {
  const auto count = static_cast<std::uint32_t>(tokens.size() - first);
  if (count < 2) return;
  WordToken* const word = tokens.data() + first;
  // Neighbours as a linked list over the starting positions; a merged-away token gets id -1.
  std::vector<std::uint32_t> previous(count), next(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? none : i - 1;
    next[i] = i + 1 == count ? none : i + 1;
  }
  std::priority_queue<Candidate> queue;
  const auto offer = [&](std::uint32_t left, std::uint32_t right) {
    if (left == none || right == none) return;
    if (const MergeTable::Merge* m = merges_.find(word[left].id, word[right].id)) {
      queue.push({m->rank, left, right, word[left].id, word[right].id, m->id});
    }
  };
  for (std::uint32_t i = 0; i + 1 < count; ++i) offer(i, i + 1);
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    const bool stale = word[c.left].id != c.left_id || word[c.right].id != c.right_id || next[c.left] != c.right;
    if (stale) continue;
    word[c.left].id = c.merged_id;
    word[c.left].end = word[c.right].end;
    word[c.right].id = -1;
    next[c.left] = next[c.right];
    if (next[c.left] != none) previous[next[c.left]] = c.left;
    offer(previous[c.left], c.left);
    offer(c.left, next[c.left]);
  }
  std::size_t kept = first;
  for (std::uint32_t i = 0; i != none; i = next[i]) tokens[kept++] = word[i];
  tokens.resize(kept);
}

void BpeModel::encode(std::string_view word, std::vector<WordToken>& out) const {
  if (ignore_merges_) {
    const auto whole = byte_level_ ? id_of(to_byte_alphabet(word)) : id_of(word);
    if (whole) {
      out.push_back({*whole, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  const std::size_t first = out.size();
  start(word, out);
  merge(out, first);
}

}  // namespace moescope::tokenization
