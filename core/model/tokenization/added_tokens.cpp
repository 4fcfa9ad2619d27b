#include "core/model/tokenization/added_tokens.h"

#include <fmt/format.h>

#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

// Bounds the steps of one match; real added tokens have a few dozen bytes.
constexpr std::size_t max_content_bytes = 4096;

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin > 0 && is_word_character(character_before(text, begin).code)) ||
         (end < text.size() && is_word_character(character_at(text, end).code));
}

}  // namespace

void TokenFinder::add(const std::string& text, const AddedToken* token) {
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto [it, added] = nodes_[node].next.try_emplace(c, static_cast<std::uint32_t>(nodes_.size()));
    const std::uint32_t next = it->second;
    if (added) nodes_.emplace_back();
    node = next;
  }
  if (node != 0 && !nodes_[node].token) nodes_[node].token = token;
}

std::vector<TextPart> TokenFinder::split(std::string_view text) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  if (nodes_[0].next.empty()) {
    if (!text.empty()) parts.push_back({0, text.size(), -1});
    return parts;
  }
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* best = nullptr;
    std::size_t best_end = at;
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto it = nodes_[node].next.find(text[i]);
      if (it == nodes_[node].next.end()) break;
      node = it->second;
      if (nodes_[node].token) {
        best = nodes_[node].token;
        best_end = i + 1;
      }
    }
    if (!best) {
      ++at;
      continue;
    }
    if (best->single_word && touches_word(text, at, best_end)) {
      at = best_end;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = best_end;
    while (best->lstrip && begin > done) {
      const Character before = character_before(text, begin);
      if (!is_white_space(before.code)) break;
      begin -= before.length;
    }
    while (best->rstrip && end < text.size()) {
      const Character after = character_at(text, end);
      if (!is_white_space(after.code)) break;
      end += after.length;
    }
    if (begin > done) parts.push_back({done, begin, -1});
    parts.push_back({begin, end, best->id});
    done = at = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
  return parts;
}

Expected<AddedTokens> AddedTokens::from_json(const nlohmann::json& json, const Normalizer& normalizer) {
  AddedTokens added;
  if (json.is_null()) return added;
  if (!json.is_array()) return fail(ErrorKind::input, "added_tokens is not a list", "added_tokens");
  added.tokens_.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const nlohmann::json& entry = json[i];
    const std::string where = fmt::format("added_tokens[{}]", i);
    const nlohmann::json* id_json = member(entry, "id");
    const auto id = id_json ? as_id(*id_json) : std::nullopt;
    if (!id)
      return fail(ErrorKind::input, "an added token has no id, or one that is no small non-negative number", where);
    AddedToken token;
    token.id = *id;
    token.content = text_or(entry, "content");
    if (token.content.size() > max_content_bytes) {
      return fail(ErrorKind::input, fmt::format("an added token has {} bytes", token.content.size()), where,
                  fmt::format("At most {} are read", max_content_bytes));
    }
    token.single_word = bool_or(entry, "single_word", false);
    token.lstrip = bool_or(entry, "lstrip", false);
    token.rstrip = bool_or(entry, "rstrip", false);
    token.special = bool_or(entry, "special", false);
    token.normalized = bool_or(entry, "normalized", !token.special);
    added.tokens_.push_back(std::move(token));
  }
  for (std::size_t i = 0; i < added.tokens_.size(); ++i) {
    const AddedToken& token = added.tokens_[i];
    added.by_id_.insert_or_assign(token.id, i);
    if (token.content.empty()) continue;
    if (!token.normalized) {
      added.raw_.add(token.content, &token);
      continue;
    }
    auto content = normalizer.apply(AlignedText(token.content, 0));
    if (!content) return fail(std::move(content.error()));
    added.normalised_.add(content->text(), &token);
  }
  return added;
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

}  // namespace moescope::tokenization
