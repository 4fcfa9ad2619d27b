// The SentencePiece library as core sees it. No exception leaves this module.
#include "core/model/tokenization/sentencepiece_module.h"

#include <sentencepiece_processor.h>

#include <exception>

#include "core/base/version.h"

namespace moescope::tokenization {
namespace {

class LibraryModel final : public SentencePieceModel {
 public:
  // What is wrong with the model; empty when nothing is.
  std::string load(const char* model, std::size_t size) {
    const auto status = processor_.LoadFromSerializedProto({model, size});
    return status.ok() ? std::string() : status.ToString();
  }
  std::int32_t size() const override { return processor_.GetPieceSize(); }
  std::string piece(std::int32_t id) const override { return processor_.IdToPiece(id); }
  bool is_control(std::int32_t id) const override { return processor_.IsControl(id); }
  bool is_unknown(std::int32_t id) const override { return processor_.IsUnknown(id); }
  bool is_byte(std::int32_t id) const override { return processor_.IsByte(id); }
  std::int32_t begin_id() const override { return processor_.bos_id(); }
  std::int32_t end_id() const override { return processor_.eos_id(); }

  std::string encode(std::string_view text, std::vector<SentencePiecePart>& out) const override {
    try {
      sentencepiece::ImmutableSentencePieceText pieces;
      const auto status = processor_.Encode({text.data(), text.size()}, pieces.mutable_proto());
      if (!status.ok()) return status.ToString();
      for (const auto& piece : pieces.pieces()) {
        out.push_back({static_cast<std::int32_t>(piece.id()), piece.piece(), piece.begin(), piece.end()});
      }
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace
}  // namespace moescope::tokenization

extern "C" {

MOESCOPE_API const char* moescope_sentencepiece_build_id() {
  return moescope::build_id_text;
}

// Null with the problem when the library refuses the model.
MOESCOPE_API moescope::tokenization::SentencePieceModel* moescope_sentencepiece_create(const char* model,
                                                                                       std::size_t size,
                                                                                       std::string* problem) {
  try {
    auto out = std::make_unique<moescope::tokenization::LibraryModel>();
    *problem = out->load(model, size);
    if (problem->empty()) return out.release();
  } catch (const std::exception& e) {
    *problem = e.what();
  }
  return nullptr;
}
}
