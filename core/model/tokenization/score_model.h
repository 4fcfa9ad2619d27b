// The merge model of scored pieces, as GGUF stores SentencePiece vocabularies: the neighbours whose concatenation has
// the highest score are merged, the leftmost on ties, until none is in the vocabulary; what remains unknown becomes
// bytes. Immutable after making; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/tokenization/word_model.h"

namespace moescope::tokenization {

struct ScoredPiece {
  std::string text;
  float score = 0.0F;
  bool merges = true;  // false for pieces that text never becomes: control, unknown, unused and byte pieces
};

class ScoreModel final : public WordModel {
 public:
  // `pieces` by id; scores are finite; of equal texts the first counts. `unknown` stands for characters without bytes
  // in the vocabulary.
  ScoreModel(std::vector<ScoredPiece> pieces, std::optional<std::int32_t> unknown);
  ScoreModel(const ScoreModel&) = delete;  // members point into other members
  ScoreModel& operator=(const ScoreModel&) = delete;

  void encode(std::string_view word, std::vector<WordToken>& out) const override;
  [[nodiscard]] const std::string* text_of(std::int32_t id) const override;
  [[nodiscard]] std::size_t size() const override { return pieces_.size(); }

 private:
  std::vector<ScoredPiece> pieces_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  // of pieces that merge; keys point into pieces_
  std::array<std::int32_t, 256> byte_ids_{};                // of <0x00>…<0xFF>, -1 = missing
  std::optional<std::int32_t> unknown_;
  std::size_t longest_ = 0;  // bytes of a piece that merges

  void add_unmerged(std::string_view word, std::uint32_t begin, std::uint32_t end, std::vector<WordToken>& out) const;
};

}  // namespace moescope::tokenization
