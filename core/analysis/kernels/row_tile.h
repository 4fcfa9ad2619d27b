// One router row over the tokens of one tile, in the forms that counting reads: ids, bit sets, lists of tokens by
// expert, bit columns. Used by this folder only; an object belongs to one thread and keeps its memory from tile to
// tile.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/analysis/kernels/simd.h"
#include "core/analysis/kernels/token_tiles.h"

namespace moescope::kernels {

// Tokens of a tile for E experts: the sets of two rows and the lists stay in the second cache.
[[nodiscard]] std::size_t tile_capacity(std::uint32_t experts);

class RowTile {
 public:
  // `capacity`: the most tokens of a tile.
  RowTile(const KernelSet& set, std::size_t capacity) : set_(set), capacity_(capacity) {}

  // Reads the ids of a row. Slots that hold no expert (not filled, dropped, not recorded, an id of E or more) count for
  // nothing; filled slots with an id of E or more are told by bad().
  void load(const TokenTile& tile, std::uint32_t row, std::uint32_t experts, bool with_sets);
  // What is needed beyond counts() and sets(), after load() with sets; once is enough.
  void make_lists();
  void make_columns();

  [[nodiscard]] std::size_t tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t experts() const { return experts_; }
  [[nodiscard]] std::size_t words() const { return words_; }
  // Slots that hold each expert [E], and tokens with at least one.
  [[nodiscard]] const std::vector<std::uint32_t>& counts() const { return counts_; }
  [[nodiscard]] std::size_t tokens_with_expert() const { return with_expert_; }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }
  // Whether a token holds an expert twice, which a set cannot tell. Known with sets.
  [[nodiscard]] bool repeats() const { return repeats_; }
  // Whether every token has an expert; else which ones do, one bit each.
  [[nodiscard]] bool complete() const { return with_expert_ == tokens_; }
  [[nodiscard]] bool has_expert(std::size_t token) const {
    return complete() || (has_[token / 64] >> (token % 64) & 1U) != 0;
  }

  // [tokens × words], then an empty set at number tokens() and on to the next multiple of 512.
  [[nodiscard]] const std::uint64_t* sets() const { return sets_.data(); }
  // Tokens of an expert, ascending, padded with tokens() to a multiple of list_unit; length() without the padding.
  [[nodiscard]] std::span<const std::uint16_t> list(std::uint32_t expert) const {
    return {lists_.data() + starts_[expert], starts_[expert + 1] - starts_[expert]};
  }
  [[nodiscard]] std::size_t length(std::uint32_t expert) const { return counts_[expert]; }
  // As KernelSet::to_columns makes them.
  [[nodiscard]] const std::uint64_t* columns() const { return columns_.data(); }
  [[nodiscard]] std::size_t padded_tokens() const { return (tokens_ + 511) / 512 * 512; }

  // Ids [tokens × slots()], experts() where there is none; decoded when first asked for.
  [[nodiscard]] const std::vector<std::uint16_t>& ids();
  [[nodiscard]] std::size_t slots() const { return slots_; }
  // The expert in a slot, experts() where there is none.
  [[nodiscard]] std::uint32_t id(std::size_t token, std::size_t slot) const {
    return regular_ ? raw_[token * slots_ + slot] : ids_[token * slots_ + slot];
  }
  // Whether a token holds an expert.
  [[nodiscard]] bool holds(std::size_t token, std::uint32_t expert) const;
  // counts[group × E] += slots of the tokens [begin, end), each token's in its group; groups from `count` on are none.
  void add_grouped(std::size_t begin, std::size_t end, const std::uint32_t* group_of, std::size_t count,
                   std::uint32_t* counts) const;
  // counts[E] += slots of the tokens [begin, end).
  void add_run(std::size_t begin, std::size_t end, std::uint32_t* counts);
  [[nodiscard]] std::size_t tokens_with_expert(std::size_t begin, std::size_t end) const;

 private:
  void point_at_bytes(const TokenTile& tile, std::uint32_t row);
  [[nodiscard]] bool all_filled(const TokenTile& tile, std::uint32_t row) const;
  void decode(const TokenTile& tile, std::uint32_t row);
  // Whether the bytes are all experts (each token's all different, with sets), with their counts.
  [[nodiscard]] bool count_raw();
  [[nodiscard]] bool sum_raw_sets();
  [[nodiscard]] bool may_hide_unfilled(const Segment& segment, std::uint32_t row) const;
  void sets_of_ids();

  const KernelSet& set_;
  std::size_t capacity_;
  std::size_t tokens_ = 0, slots_ = 0, words_ = 0, with_expert_ = 0;
  std::uint32_t experts_ = 0, hot_experts_ = 0;
  std::uint64_t bad_ = 0;
  bool regular_ = false;  // every slot of every token holds an expert, and raw_ has them
  bool repeats_ = false, decoded_ = false, listed_ = false, in_columns_ = false;
  const std::uint8_t* raw_ = nullptr;
  std::vector<std::uint8_t> gathered_;
  std::vector<std::uint16_t> ids_, lists_;
  std::vector<std::uint32_t> counts_, starts_, cursor_;
  std::vector<std::uint64_t> one_hot_, sets_, columns_, has_;
};

}  // namespace moescope::kernels
