#include "core/model/tokenization/score_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>

#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

constexpr std::uint32_t no_symbol = std::numeric_limits<std::uint32_t>::max();

// A part of the word, linked to its neighbours; a merged-away part has length 0.
struct Symbol {
  std::uint32_t begin = 0, length = 0, previous = no_symbol, next = no_symbol;
};

struct Pair {
  float score = 0.0F;
  std::uint32_t left = 0, right = 0, length = 0;  // `length` of both together tells whether it is still so

  // The largest comes first: the highest score, then the leftmost.
  bool operator<(const Pair& other) const { return score != other.score ? score < other.score : left > other.left; }
};

}  // namespace

ScoreModel::ScoreModel(std::vector<ScoredPiece> pieces, std::optional<std::int32_t> unknown)
    : pieces_(std::move(pieces)), unknown_(unknown) {
  ids_.reserve(pieces_.size());
  byte_ids_.fill(-1);
  std::unordered_map<std::string_view, std::int32_t> others;
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    const ScoredPiece& piece = pieces_[id];
    if (!piece.merges) {
      others.emplace(piece.text, static_cast<std::int32_t>(id));
    } else if (!piece.text.empty()) {
      ids_.emplace(piece.text, static_cast<std::int32_t>(id));
      longest_ = std::max(longest_, piece.text.size());
    }
  }
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const std::string name = fmt::format("<0x{:02X}>", byte);
    if (const auto found = others.find(name); found != others.end()) {
      byte_ids_[byte] = found->second;
    } else if (const auto plain = ids_.find(name); plain != ids_.end()) {
      byte_ids_[byte] = plain->second;
    }
  }
}

const std::string* ScoreModel::text_of(std::int32_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < pieces_.size() ? &pieces_[static_cast<std::size_t>(id)].text
                                                                  : nullptr;
}

void ScoreModel::add_unmerged(std::string_view word, std::uint32_t begin, std::uint32_t end,
                              std::vector<WordToken>& out) const {
  const bool all = std::all_of(word.begin() + begin, word.begin() + end,
                               [this](char c) { return byte_ids_[static_cast<std::uint8_t>(c)] >= 0; });
  if (all) {
    for (std::uint32_t i = begin; i < end; ++i) {
      out.push_back({byte_ids_[static_cast<std::uint8_t>(word[i])], begin, end});
    }
  } else if (unknown_) {
    out.push_back({*unknown_, begin, end});
  }
}

void ScoreModel::encode(std::string_view word, std::vector<WordToken>& out) const {
  std::vector<Symbol> symbols;
  for (std::uint32_t at = 0; at < word.size();) {
    const auto length = static_cast<std::uint32_t>(character_at(word, at).length);
    const auto index = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({at, length, index == 0 ? no_symbol : index - 1, index + 1});
    at += length;
  }
  if (symbols.empty()) return;
  symbols.back().next = no_symbol;
  std::priority_queue<Pair> queue;
  const auto offer = [&](std::uint32_t left, std::uint32_t right) {
    if (left == no_symbol || right == no_symbol) return;
    const std::uint32_t length = symbols[left].length + symbols[right].length;
    if (length > longest_) return;
    const auto found = ids_.find(word.substr(symbols[left].begin, length));
    if (found == ids_.end()) return;
    queue.push({pieces_[static_cast<std::size_t>(found->second)].score, left, right, length});
  };
  for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) offer(i, i + 1);
  while (!queue.empty()) {
    const Pair best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) continue;
    left.length = best.length;
    right.length = 0;
    left.next = right.next;
    if (right.next != no_symbol) symbols[right.next].previous = best.left;
    offer(left.previous, best.left);
    offer(best.left, left.next);
  }
  for (std::uint32_t i = 0; i != no_symbol; i = symbols[i].next) {
    const Symbol& symbol = symbols[i];
    const auto found = ids_.find(word.substr(symbol.begin, symbol.length));
    if (found != ids_.end()) {
      out.push_back({found->second, symbol.begin, symbol.begin + symbol.length});
    } else {
      add_unmerged(word, symbol.begin, symbol.begin + symbol.length, out);
    }
  }
}

}  // namespace moescope::tokenization
