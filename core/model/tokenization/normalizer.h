// Normalizers of tokenizer.json: what happens to a piece of text before it is cut into words. Immutable; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenization/aligned_text.h"
#include "core/model/tokenization/pattern.h"

namespace moescope::tokenization {

class Normalizer {
 public:
  // `json` may be null (nothing to do). Error (input): a type that is not supported, by name.
  [[nodiscard]] static Expected<Normalizer> from_json(const nlohmann::json& json);
  [[nodiscard]] Expected<AlignedText> apply(AlignedText text) const;
  [[nodiscard]] bool empty() const { return steps_.empty(); }

 private:
  struct Unicode {
    std::uint32_t options = 0;  // of utf8proc: which of NFC, NFD, NFKC, NFKD
  };
  struct Prepend {
    std::string text;
  };
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  std::vector<std::variant<Unicode, Prepend, Replace>> steps_;

  [[nodiscard]] Expected<void> add(const nlohmann::json& json, int depth);
  [[nodiscard]] static AlignedText apply_unicode(const AlignedText& text, std::uint32_t options);
  [[nodiscard]] static Expected<AlignedText> apply_replace(const AlignedText& text, const Replace& step);
};

}  // namespace moescope::tokenization
