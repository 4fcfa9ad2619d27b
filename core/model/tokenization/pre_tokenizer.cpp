#include "core/model/tokenization/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

// What ByteLevel cuts by when it cuts itself.
constexpr const char* byte_level_expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Stretch {
  std::size_t begin, end;
  bool match;
};

// Matches and the gaps between them, in order.
std::vector<Stretch> stretches(std::size_t size, const Cuts& matches, bool invert) {
  std::vector<Stretch> out;
  std::size_t done = 0;
  for (const auto& [begin, end] : matches) {
    if (begin > done) out.push_back({done, begin, invert});
    out.push_back({begin, end, !invert});
    done = end;
  }
  if (done < size) out.push_back({done, size, invert});
  return out;
}

}  // namespace

Expected<PreTokenizer> PreTokenizer::from_json(const nlohmann::json& json) {
  PreTokenizer pre;
  if (auto ok = pre.add(json, 0); !ok) return fail(std::move(ok.error()));
  return pre;
}

Expected<void> PreTokenizer::add(const nlohmann::json& json, int depth) {
  if (json.is_null()) return {};
  if (depth > max_nesting) return fail(ErrorKind::input, "pre-tokenizers nest too deeply", "pre_tokenizer");
  const std::string type = text_or(json, "type");
  if (type == "Sequence") {
    const nlohmann::json* parts = member(json, "pretokenizers");
    if (!parts || !parts->is_array()) {
      return fail(ErrorKind::input, "a pre-tokenizer Sequence has no list", "pre_tokenizer.pretokenizers");
    }
    for (const nlohmann::json& part : *parts) {
      if (auto ok = add(part, depth + 1); !ok) return ok;
    }
    return {};
  }
  if (byte_level_) {
    return fail(ErrorKind::input, fmt::format("the pre-tokenizer \"{}\" follows ByteLevel", type), "pre_tokenizer",
                "ByteLevel is supported as the last one only");
  }
  if (type == "Split") return add_split(json);
  if (type == "ByteLevel") return add_byte_level(json);
  if (type == "Metaspace") return add_metaspace(json);
  if (type == "Digits") {
    steps_.emplace_back(Digits{bool_or(json, "individual_digits", false)});
    return {};
  }
  return fail(ErrorKind::input, fmt::format("the pre-tokenizer \"{}\" is not supported", type), "pre_tokenizer",
              "Supported: Split, ByteLevel, Digits, Metaspace, Sequence");
}

Expected<void> PreTokenizer::add_split(const nlohmann::json& json) {
  const nlohmann::json* pattern = member(json, "pattern");
  auto compiled = Pattern::from_json(pattern ? *pattern : nlohmann::json());
  if (!compiled) return fail(std::move(compiled.error()));
  const std::string name = text_or(json, "behavior");
  Behaviour behaviour = Behaviour::isolated;
  if (name == "Removed") {
    behaviour = Behaviour::removed;
  } else if (name == "MergedWithPrevious") {
    behaviour = Behaviour::merged_with_previous;
  } else if (name == "MergedWithNext") {
    behaviour = Behaviour::merged_with_next;
  } else if (name == "Contiguous") {
    behaviour = Behaviour::contiguous;
  } else if (name != "Isolated") {
    return fail(ErrorKind::input, fmt::format("a Split has the behaviour \"{}\"", name), "pre_tokenizer.behavior",
                "Known: Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
  }
  steps_.emplace_back(Split{std::move(*compiled), behaviour, bool_or(json, "invert", false)});
  return {};
}

Expected<void> PreTokenizer::add_byte_level(const nlohmann::json& json) {
  if (bool_or(json, "add_prefix_space", false)) steps_.emplace_back(PrefixSpace{});
  if (bool_or(json, "use_regex", true)) {
    auto compiled = Pattern::regex(byte_level_expression);
    if (!compiled) return fail(std::move(compiled.error()));
    steps_.emplace_back(Split{std::move(*compiled), Behaviour::isolated, false});
  }
  byte_level_ = true;
  return {};
}

Expected<void> PreTokenizer::add_metaspace(const nlohmann::json& json) {
  Metaspace step;
  step.replacement = text_or(json, "replacement", "\u2581");
  step.split = bool_or(json, "split", true);
  const std::string scheme =
      text_or(json, "prepend_scheme", bool_or(json, "add_prefix_space", true) ? "always" : "never");
  if (scheme == "first") {
    step.prepend = Metaspace::Prepend::first;
  } else if (scheme == "never") {
    step.prepend = Metaspace::Prepend::never;
  } else if (scheme != "always") {
    return fail(ErrorKind::input, fmt::format("Metaspace has the prepend_scheme \"{}\"", scheme),
                "pre_tokenizer.prepend_scheme", "Known: first, always, never");
  }
  steps_.emplace_back(std::move(step));
  return {};
}

void PreTokenizer::cut_word(Cuts& out, std::size_t begin, std::size_t end, const Cuts& matches, Behaviour behaviour,
                            bool invert) {
  const std::vector<Stretch> parts = stretches(end - begin, matches, invert);
  const std::size_t first = out.size();
  bool previous = false;
  switch (behaviour) {
    case Behaviour::isolated:
    case Behaviour::removed:
      for (const Stretch& s : parts) {
        if (behaviour == Behaviour::isolated || !s.match) out.emplace_back(begin + s.begin, begin + s.end);
      }
      break;
    case Behaviour::contiguous:
      for (const Stretch& s : parts) {
        if (out.size() > first && s.match == previous) {
          out.back().second = begin + s.end;
        } else {
          out.emplace_back(begin + s.begin, begin + s.end);
        }
        previous = s.match;
      }
      break;
    case Behaviour::merged_with_previous:
      for (const Stretch& s : parts) {
        if (s.match && !previous && out.size() > first) {
          out.back().second = begin + s.end;
        } else {
          out.emplace_back(begin + s.begin, begin + s.end);
        }
        previous = s.match;
      }
      break;
    case Behaviour::merged_with_next:
      for (auto s = parts.rbegin(); s != parts.rend(); ++s) {
        if (s->match && !previous && out.size() > first) {
          out.back().first = begin + s->begin;
        } else {
          out.emplace_back(begin + s->begin, begin + s->end);
        }
        previous = s->match;
      }
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
      break;
  }
}

Expected<void> PreTokenizer::apply_split(Words& words, const Split& step) {
  Cuts out;
  const Pattern::Scan scan(step.pattern);
  for (const auto& [begin, end] : words.cuts) {
    const std::string_view word = std::string_view(words.text.text()).substr(begin, end - begin);
    auto matches = scan.matches(word);
    if (!matches) return fail(std::move(matches.error()));
    cut_word(out, begin, end, *matches, step.behaviour, step.invert);
  }
  words.cuts = std::move(out);
  return {};
}

void PreTokenizer::apply_digits(Words& words, const Digits& step) {
  Cuts out;
  for (const auto& [begin, end] : words.cuts) {
    Cuts digits;
    const std::string_view word = std::string_view(words.text.text()).substr(begin, end - begin);
    for (std::size_t at = 0; at < word.size();) {
      const Character character = character_at(word, at);
      if (is_numeric(character.code)) digits.emplace_back(at, at + character.length);
      at += character.length;
    }
    cut_word(out, begin, end, digits, step.individual ? Behaviour::isolated : Behaviour::contiguous, false);
  }
  words.cuts = std::move(out);
}

void PreTokenizer::apply_prefix_space(Words& words) {
  Words out;
  for (const auto& [begin, end] : words.cuts) {
    const std::size_t start = out.text.size();
    if (words.text.text()[begin] != ' ') out.text.append(" ", words.text.origin(begin, begin + 1));
    out.text.append(words.text, begin, end);
    out.cuts.emplace_back(start, out.text.size());
  }
  words = std::move(out);
}

void PreTokenizer::apply_metaspace(Words& words, const Metaspace& step) {
  Words out;
  for (const auto& [begin, end] : words.cuts) {
    const std::size_t start = out.text.size();
    const std::string_view word = std::string_view(words.text.text()).substr(begin, end - begin);
    const bool at_start = words.text.origin(begin, begin + 1).first == 0;
    const bool there = word.front() == ' ' || word.substr(0, step.replacement.size()) == step.replacement;
    if (!there &&
        (step.prepend == Metaspace::Prepend::always || (step.prepend == Metaspace::Prepend::first && at_start))) {
      out.text.append(step.replacement, words.text.origin(begin, begin + 1));
    }
    std::size_t done = begin;
    for (std::size_t at = begin; at < end; ++at) {
      if (words.text.text()[at] != ' ') continue;
      out.text.append(words.text, done, at);
      out.text.append(step.replacement, words.text.origin(at, at + 1));
      done = at + 1;
    }
    out.text.append(words.text, done, end);
    if (!step.split || step.replacement.empty()) {
      out.cuts.emplace_back(start, out.text.size());
      continue;
    }
    Cuts marks;
    const std::string_view changed = std::string_view(out.text.text()).substr(start);
    for (std::size_t at = changed.find(step.replacement); at != std::string_view::npos;
         at = changed.find(step.replacement, at)) {
      marks.emplace_back(at, at + step.replacement.size());
      at += step.replacement.size();
    }
    cut_word(out.cuts, start, out.text.size(), marks, Behaviour::merged_with_next, false);
  }
  words = std::move(out);
}

Expected<Words> PreTokenizer::apply(AlignedText text) const {
  Words words;
  const std::size_t size = text.size();
  words.text = std::move(text);
  if (size != 0) words.cuts.emplace_back(0, size);
  for (const auto& step : steps_) {
    if (words.cuts.empty()) break;
    if (const auto* split = std::get_if<Split>(&step)) {
      if (auto ok = apply_split(words, *split); !ok) return fail(std::move(ok.error()));
    } else if (const auto* digits = std::get_if<Digits>(&step)) {
      apply_digits(words, *digits);
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      apply_metaspace(words, *metaspace);
    } else {
      apply_prefix_space(words);
    }
  }
  return words;
}

}  // namespace moescope::tokenization
