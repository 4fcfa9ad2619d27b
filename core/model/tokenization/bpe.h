// The BPE model of tokenizer.json: a word to token ids by merging the adjacent pair of lowest rank until none is left.
// Immutable after load; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/model/tokenization/word_model.h"

namespace moescope::tokenization {

// (left id, right id) -> rank and id of the merged token. Open addressing, filled once.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  void reserve(std::size_t merges);
  void set(std::int32_t left, std::int32_t right, Merge merge);
  [[nodiscard]] const Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::uint64_t key = 0;  // packed pair + 1; 0 = free
    Merge merge;
  };
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
};

class BpeModel final : public WordModel {
 public:
  BpeModel() = default;
  BpeModel(BpeModel&&) = default;  // move only: members point into other members
  BpeModel& operator=(BpeModel&&) = default;

  // `json` is the "model" of tokenizer.json. Errors (input): another type of model, a merge whose parts or result are
  // not in the vocabulary, an id out of range, dropout.
  [[nodiscard]] static Expected<BpeModel> from_json(const nlohmann::json& json, bool byte_level);

  void encode(std::string_view word, std::vector<WordToken>& out) const override;
  [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
  [[nodiscard]] const std::string* text_of(std::int32_t id) const override;
  [[nodiscard]] std::size_t size() const override { return texts_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::unordered_map<std::int32_t, const std::string*> texts_;  // point at the keys of ids_
  MergeTable merges_;
  std::vector<std::int32_t> byte_ids_;      // byte level: id of each byte's character, -1 = missing
  std::vector<std::int32_t> fallback_ids_;  // byte fallback: id of <0x00>…<0xFF>, -1 = missing
  std::optional<std::int32_t> unknown_;
  bool byte_level_ = false, byte_fallback_ = false, fuse_unknown_ = false, ignore_merges_ = false;

  [[nodiscard]] Expected<void> read_vocabulary(const nlohmann::json& json);
  [[nodiscard]] Expected<void> read_merges(const nlohmann::json& json);
  void start(std::string_view word, std::vector<WordToken>& out) const;
  void start_missing(std::string_view word, std::uint32_t begin, std::uint32_t end, std::vector<WordToken>& out,
                     bool& after_unknown) const;
  void merge(std::vector<WordToken>& tokens, std::size_t first) const;
};

}  // namespace moescope::tokenization
