#include "core/model/tokenization/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/model/tokenization/byte_alphabet.h"
#include "core/model/tokenization/json_access.h"
#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += between;
    out += parts[i];
  }
  return out;
}

std::string replace_all(const Pattern::Scan& scan, const std::string& content, const std::string& text) {
  const auto matches = scan.matches(text);
  if (!matches || matches->empty()) return text;  // a pattern that gives up leaves the token as it is
  std::string out;
  std::size_t done = 0;
  for (const auto& [begin, end] : *matches) {
    out.append(text, done, begin - done);
    out += content;
    done = end;
  }
  return out.append(text, done);
}

std::string replace_literal(const std::string& text, const std::string& from, std::string_view to) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = from.empty() ? std::string::npos : text.find(from); at != std::string::npos;
       at = text.find(from, done)) {
    out.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  return out.append(text, done);
}

// The byte of a token like <0x0A>.
std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || token.compare(0, 3, "<0x") != 0 || token[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : {token[3], token[4]}) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'A' && c <= 'F') && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = value * 16 + (digit ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return static_cast<char>(value);
}

// Runs of byte tokens become text; a run that is not valid becomes one U+FFFD per byte.
std::vector<std::string> apply_byte_fallback(const std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (is_valid_utf8(run)) {
      out.push_back(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) out.emplace_back("\uFFFD");
    }
    run.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      run.push_back(*byte);
    } else {
      flush();
      out.push_back(token);
    }
  }
  flush();
  return out;
}

std::string raw_bytes(const std::string& token) {
  return from_byte_alphabet(token).value_or(token);
}

std::string strip(const std::string& token, const std::string& content, std::size_t start, std::size_t stop) {
  std::size_t begin = 0, end = token.size();
  if (content.empty()) return token;
  for (std::size_t i = 0; i < start && token.compare(begin, content.size(), content) == 0; ++i) begin += content.size();
  for (std::size_t i = 0; i < stop && end >= begin + content.size(); ++i) {
    if (token.compare(end - content.size(), content.size(), content) != 0) break;
    end -= content.size();
  }
  return token.substr(begin, end - begin);
}

}  // namespace

Expected<Decoder> Decoder::from_json(const nlohmann::json& json) {
  Decoder decoder;
  decoder.none_ = json.is_null();
  if (auto ok = decoder.add(json, 0); !ok) return fail(std::move(ok.error()));
  return decoder;
}

Expected<void> Decoder::add(const nlohmann::json& json, int depth) {
  if (json.is_null()) return {};
  if (depth > max_nesting) return fail(ErrorKind::input, "decoders nest too deeply", "decoder");
  const std::string type = text_or(json, "type");
  if (type == "Sequence") {
    const nlohmann::json* parts = member(json, "decoders");
    if (!parts || !parts->is_array())
      return fail(ErrorKind::input, "a decoder Sequence has no list", "decoder.decoders");
    for (const nlohmann::json& part : *parts) {
      if (auto ok = add(part, depth + 1); !ok) return ok;
    }
  } else if (type == "ByteLevel") {
    steps_.emplace_back(ByteLevel{});
  } else if (type == "Replace") {
    const nlohmann::json* pattern = member(json, "pattern");
    auto compiled = Pattern::from_json(pattern ? *pattern : nlohmann::json());
    if (!compiled) return fail(std::move(compiled.error()));
    steps_.emplace_back(Replace{std::move(*compiled), text_or(json, "content")});
  } else if (type == "ByteFallback") {
    steps_.emplace_back(ByteFallback{});
  } else if (type == "Fuse") {
    steps_.emplace_back(Fuse{});
  } else if (type == "Strip") {
    const auto count = [&json](const char* key) {
      const nlohmann::json* value = member(json, key);
      return value ? static_cast<std::size_t>(as_id(*value).value_or(0)) : 0;
    };
    steps_.emplace_back(Strip{text_or(json, "content"), count("start"), count("stop")});
  } else if (type == "Metaspace") {
    const std::string fallback = bool_or(json, "add_prefix_space", true) ? "always" : "never";
    steps_.emplace_back(
        Metaspace{text_or(json, "replacement", "\u2581"), text_or(json, "prepend_scheme", fallback) != "never"});
  } else {
    return fail(ErrorKind::input, fmt::format("the decoder \"{}\" is not supported", type), "decoder",
                "Supported: ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence");
  }
  return {};
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  if (none_) return replace_invalid_utf8(join(tokens, " "));
  for (const auto& step : steps_) {
    if (std::holds_alternative<ByteLevel>(step)) {
      for (std::string& token : tokens) token = raw_bytes(token);
      tokens = {replace_invalid_utf8(join(tokens, ""))};
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      const Pattern::Scan scan(replace->pattern);
      for (std::string& token : tokens) token = replace_all(scan, replace->content, token);
    } else if (std::holds_alternative<ByteFallback>(step)) {
      tokens = apply_byte_fallback(tokens);
    } else if (std::holds_alternative<Fuse>(step)) {
      tokens = {join(tokens, "")};
    } else if (const auto* s = std::get_if<Strip>(&step)) {
      for (std::string& token : tokens) token = strip(token, s->content, s->start, s->stop);
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i == 0 && metaspace->prepended) tokens[i] = strip(tokens[i], metaspace->replacement, 1, 0);
        tokens[i] = replace_literal(tokens[i], metaspace->replacement, " ");
      }
    }
  }
  return replace_invalid_utf8(join(tokens, ""));
}

std::string Decoder::bytes_of(const std::string& token) const {
  std::string out = token;
  for (const auto& step : steps_) {
    if (std::holds_alternative<ByteLevel>(step)) {
      out = raw_bytes(out);
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      out = replace_all(Pattern::Scan(replace->pattern), replace->content, out);
    } else if (std::holds_alternative<ByteFallback>(step)) {
      if (const auto byte = fallback_byte(out)) return std::string(1, *byte);
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      out = replace_literal(out, metaspace->replacement, " ");
    }
  }
  return out;
}

}  // namespace moescope::tokenization
