#include "core/model/tokenization/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

// Starters that may join with the character before them (NFC_Quick_Check = Maybe, combining class 0), as ranges.
struct CodeRange {
  std::uint32_t first, last;
};
constexpr std::array<CodeRange, 24> joining_starters{
    {{0x09BE, 0x09BE},   {0x09D7, 0x09D7},   {0x0B3E, 0x0B3E},   {0x0B56, 0x0B57},   {0x0BBE, 0x0BBE},
     {0x0BD7, 0x0BD7},   {0x0CC2, 0x0CC2},   {0x0CD5, 0x0CD6},   {0x0D3E, 0x0D3E},   {0x0D57, 0x0D57},
     {0x0DCF, 0x0DCF},   {0x0DDF, 0x0DDF},   {0x102E, 0x102E},   {0x1161, 0x1175},   {0x11A8, 0x11C2},
     {0x1B35, 0x1B35},   {0x11127, 0x11127}, {0x1133E, 0x1133E}, {0x11357, 0x11357}, {0x114B0, 0x114B0},
     {0x114BA, 0x114BA}, {0x114BD, 0x114BD}, {0x115AF, 0x115AF}, {0x11930, 0x11930}}};

// Whether normalisation never looks across the border before this character.
bool starts_segment(std::uint32_t code) {
  if (code < 0x300) return true;
  if (utf8proc_get_property(static_cast<utf8proc_int32_t>(code))->combining_class != 0) return false;
  return std::none_of(joining_starters.begin(), joining_starters.end(),
                      [code](const CodeRange& r) { return code >= r.first && code <= r.last; });
}

std::vector<std::pair<std::size_t, std::size_t>> characters_of(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_at(text, at).length;
    out.emplace_back(at, at + length);
    at += length;
  }
  return out;
}

std::string normalise_segment(std::string_view segment, std::uint32_t options) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(segment.data()),
                   static_cast<utf8proc_ssize_t>(segment.size()), &mapped, static_cast<utf8proc_option_t>(options));
  if (size < 0) return std::string(segment);
  std::string out(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
  std::free(mapped);
  return out;
}

}  // namespace

Expected<Normalizer> Normalizer::from_json(const nlohmann::json& json) {
  Normalizer normalizer;
  if (auto ok = normalizer.add(json, 0); !ok) return fail(std::move(ok.error()));
  return normalizer;
}

Expected<void> Normalizer::add(const nlohmann::json& json, int depth) {
  if (json.is_null()) return {};
  if (depth > max_nesting) return fail(ErrorKind::input, "normalizers nest too deeply", "normalizer");
  const std::string type = text_or(json, "type");
  if (type == "Sequence") {
    const nlohmann::json* parts = member(json, "normalizers");
    if (!parts || !parts->is_array()) {
      return fail(ErrorKind::input, "a normalizer Sequence has no list", "normalizer.normalizers");
    }
    for (const nlohmann::json& part : *parts) {
      if (auto ok = add(part, depth + 1); !ok) return ok;
    }
    return {};
  }
  constexpr std::uint32_t compose = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  constexpr std::uint32_t decompose = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  if (type == "NFC") {
    steps_.emplace_back(Unicode{compose});
  } else if (type == "NFD") {
    steps_.emplace_back(Unicode{decompose});
  } else if (type == "NFKC") {
    steps_.emplace_back(Unicode{compose | UTF8PROC_COMPAT});
  } else if (type == "NFKD") {
    steps_.emplace_back(Unicode{decompose | UTF8PROC_COMPAT});
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{text_or(json, "prepend")});
  } else if (type == "Replace") {
    const nlohmann::json* pattern = member(json, "pattern");
    auto compiled = Pattern::from_json(pattern ? *pattern : nlohmann::json());
    if (!compiled) return fail(std::move(compiled.error()));
    steps_.emplace_back(Replace{std::move(*compiled), text_or(json, "content")});
  } else {
    return fail(ErrorKind::input, fmt::format("the normalizer \"{}\" is not supported", type), "normalizer",
                "Supported: NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
  }
  return {};
}

AlignedText Normalizer::apply_unicode(const AlignedText& text, std::uint32_t options) {
  const std::string& in = text.text();
  // Latin text below U+0300 is its own composition; only the other forms change it.
  const bool composes_only = options == (UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const std::uint32_t plain_below = composes_only ? 0x300 : 0x80;
  AlignedText out;
  std::size_t done = 0;  // everything before it is in `out`, once something has changed
  bool changed = false;
  for (std::size_t begin = 0; begin < in.size();) {
    Character character = character_at(in, begin);
    std::size_t end = begin + character.length;
    bool plain = character.code < plain_below;
    while (end < in.size()) {
      character = character_at(in, end);
      if (starts_segment(character.code)) break;
      plain = false;
      end += character.length;
    }
    if (!plain) {
      const std::string_view segment = std::string_view(in).substr(begin, end - begin);
      if (const std::string mapped = normalise_segment(segment, options); mapped != segment) {
        changed = true;
        out.append(text, done, begin);
        // The first character stands for the first; what was joined disappears right after it, as the reference does.
        const auto from = characters_of(segment);
        const auto to = characters_of(mapped);
        const std::size_t lost = from.size() > to.size() ? from.size() - to.size() : 0;
        for (std::size_t i = 0; i < to.size(); ++i) {
          const std::size_t source = i == 0 ? 0 : std::min(i + lost, from.size() - 1);
          out.append(std::string_view(mapped).substr(to[i].first, to[i].second - to[i].first),
                     text.origin(begin + from[source].first, begin + from[source].second));
        }
        done = end;
      }
    }
    begin = end;
  }
  if (!changed) return text;
  out.append(text, done, in.size());
  return out;
}

Expected<AlignedText> Normalizer::apply_replace(const AlignedText& text, const Replace& step) {
  auto matches = step.pattern.matches(text.text());
  if (!matches) return fail(std::move(matches.error()));
  if (matches->empty()) return text;
  AlignedText out;
  std::size_t done = 0;
  for (const auto& [begin, end] : *matches) {
    out.append(text, done, begin);
    out.append(step.content, text.origin(begin, end));
    done = end;
  }
  out.append(text, done, text.size());
  return out;
}

Expected<AlignedText> Normalizer::apply(AlignedText text) const {
  for (const auto& step : steps_) {
    if (text.empty()) return text;
    if (const auto* unicode = std::get_if<Unicode>(&step)) {
      text = apply_unicode(text, unicode->options);
    } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
      AlignedText longer;
      longer.append(prepend->text, text.origin(0, character_at(text.text(), 0).length));
      longer.append(text, 0, text.size());
      text = std::move(longer);
    } else {
      auto replaced = apply_replace(text, std::get<Replace>(step));
      if (!replaced) return replaced;
      text = std::move(*replaced);
    }
  }
  return text;
}

}  // namespace moescope::tokenization
