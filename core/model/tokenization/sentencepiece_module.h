// The SentencePiece library behind a module that is loaded when it is first needed, because the symbols it brings must
// not meet those of other libraries. Implemented in plugins/sentencepiece; called by the SentencePiece tokenizer. A
// model is immutable: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope::tokenization {

struct SentencePiecePart {
  std::int32_t id = 0;
  std::string piece;
  std::uint64_t begin = 0, end = 0;  // bytes of the text
};

class MOESCOPE_API SentencePieceModel {
 public:
  virtual ~SentencePieceModel() = default;
  [[nodiscard]] virtual std::int32_t size() const = 0;
  [[nodiscard]] virtual std::string piece(std::int32_t id) const = 0;  // of an id in [0, size())
  [[nodiscard]] virtual bool is_control(std::int32_t id) const = 0;
  [[nodiscard]] virtual bool is_unknown(std::int32_t id) const = 0;
  [[nodiscard]] virtual bool is_byte(std::int32_t id) const = 0;
  [[nodiscard]] virtual std::int32_t begin_id() const = 0;  // below 0: none
  [[nodiscard]] virtual std::int32_t end_id() const = 0;
  // Appends the pieces of a text; what is wrong when it cannot, else empty.
  [[nodiscard]] virtual std::string encode(std::string_view text, std::vector<SentencePiecePart>& out) const = 0;
};

// `model` was checked. Errors: module when the module is missing or of another build; input when the library refuses
// the model.
[[nodiscard]] Expected<std::unique_ptr<const SentencePieceModel>> load_sentencepiece_model(std::string_view model);

}  // namespace moescope::tokenization
