// A pattern of tokenizer.json: a literal string, or a regular expression with Unicode classes (PCRE2, compiled to
// machine code where the machine allows). Immutable; any thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/model/tokenization/aligned_text.h"

namespace moescope::tokenization {

class Pattern {
 public:
  [[nodiscard]] static Expected<Pattern> literal(std::string text);
  // Error (input): what PCRE2 says about the expression and where in it.
  [[nodiscard]] static Expected<Pattern> regex(const std::string& expression);
  // {"String": …} or {"Regex": …}, as tokenizer.json writes patterns.
  [[nodiscard]] static Expected<Pattern> from_json(const nlohmann::json& json);

  // All non-overlapping, non-empty matches in valid UTF-8 text, left to right. Error (input): the expression took too
  // many steps on this text.
  [[nodiscard]] Expected<Cuts> matches(std::string_view text) const;

  // Working memory of a series of matches with one pattern, on one thread; makes many short texts cheap.
  class Scan {
   public:
    explicit Scan(const Pattern& pattern);
    [[nodiscard]] Expected<Cuts> matches(std::string_view text) const;

   private:
    const Pattern& pattern_;
    std::shared_ptr<const void> state_;
  };

 private:
  std::string literal_;
  std::shared_ptr<const void> code_;  // a pcre2_code; null for literals
  std::string expression_;
};

}  // namespace moescope::tokenization
