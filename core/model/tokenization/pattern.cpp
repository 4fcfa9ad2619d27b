#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/model/tokenization/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "core/model/tokenization/utf8.h"

namespace moescope::tokenization {
namespace {

constexpr std::size_t max_expression_bytes = std::size_t{64} * 1024;
constexpr std::uint32_t match_limit = 5'000'000;  // steps for one match; a word needs a few dozen
constexpr std::size_t jit_stack_first_bytes = 1U << 15U, jit_stack_bytes = 1U << 20U;

struct MatchState {
  explicit MatchState(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(jit_stack_first_bytes, jit_stack_bytes, nullptr)) {
    pcre2_set_match_limit(context, match_limit);
    pcre2_set_heap_limit(context, 64 * 1024);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchState() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

Expected<Pattern> Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Expected<Pattern> Pattern::regex(const std::string& expression) {
  if (expression.size() > max_expression_bytes) {
    return fail(ErrorKind::input, fmt::format("a regular expression has {} bytes", expression.size()), {},
                fmt::format("At most {} are read", max_expression_bytes));
  }
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (!compiled) {
    return fail(ErrorKind::input, fmt::format("a regular expression does not compile: {}", pcre2_message(code)),
                fmt::format("\"{}\", character {}", expression.substr(0, 200), offset),
                "Take tokenizer.json from the model's own folder again");
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // without it matching is slower, not wrong
  Pattern pattern;
  pattern.code_ = std::shared_ptr<const void>(
      compiled, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
  pattern.expression_ = expression;
  return pattern;
}

Expected<Pattern> Pattern::from_json(const nlohmann::json& json) {
  if (json.is_object()) {
    if (const auto it = json.find("String"); it != json.end() && it->is_string())
      return literal(it->get<std::string>());
    if (const auto it = json.find("Regex"); it != json.end() && it->is_string()) return regex(it->get<std::string>());
  }
  return fail(ErrorKind::input, "a pattern is neither {\"String\": …} nor {\"Regex\": …}");
}

Expected<Cuts> Pattern::matches(std::string_view text) const {
  return Scan(*this).matches(text);
}

Pattern::Scan::Scan(const Pattern& pattern) : pattern_(pattern) {
  if (pattern.code_) state_ = std::make_shared<MatchState>(static_cast<const pcre2_code*>(pattern.code_.get()));
}

Expected<Cuts> Pattern::Scan::matches(std::string_view text) const {
  Cuts found;
  if (!state_) {
    const std::string& literal = pattern_.literal_;
    if (literal.empty()) return found;
    for (std::size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at)) {
      found.emplace_back(at, at + literal.size());
      at += literal.size();
    }
    return found;
  }
  const auto* code = static_cast<const pcre2_code*>(pattern_.code_.get());
  const MatchState& state = *static_cast<const MatchState*>(state_.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    // The text was checked once; checking it at every call would make this quadratic.
    int rc = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, state.data, state.context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      rc = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data, state.context);
    }
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      return fail(ErrorKind::input,
                  fmt::format("the tokenizer's regular expression gave up on this text: {}", pcre2_message(rc)),
                  fmt::format("\"{}\" at byte {}", pattern_.expression_.substr(0, 200), at),
                  "Split the text into shorter lines");
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state.data);
    // \K may put the start of a match behind its end or before the position; such a match is no piece of text.
    if (ends[1] <= at || ends[0] < at || ends[0] >= ends[1]) {
      at += character_at(text, at).length;
      continue;
    }
    found.emplace_back(ends[0], ends[1]);
    at = ends[1];
  }
  return found;
}

}  // namespace moescope::tokenization
