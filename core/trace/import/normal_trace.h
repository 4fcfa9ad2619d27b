// What normalise() has decided, and how a row of ids is read under it. Private to core/trace/import.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/trace/import/normalise.h"

namespace moescope {

// One router row of the outcome: the layer of the source it comes from, and how its ids are read.
struct RowPlan {
  std::size_t source = 0;          // index into RawTrace::layers
  std::uint32_t id_limit = 0;      // ids from here on are no experts (physical ids where they are)
  std::uint32_t fused_shared = 0;  // ids [id_limit, id_limit + fused_shared) are shared experts
  bool drop_255 = false;           // 255 is a filler
};

// One token's experts at a row, as read.
struct ReadRow {
  std::array<std::uint16_t, used_code::max_filled> ids{};
  std::array<std::uint16_t, used_code::max_filled> from{};  // slot of the source, for weights
  std::size_t filled = 0;
  std::uint8_t code = used_code::not_recorded;  // why there are none, when filled is 0
  bool duplicate = false;                       // an id came twice, so this is no choice of a router
  std::int64_t bad_id = -1;                     // an id that is no expert
};

// Reads rows; keeps scratch space, so one per thread.
class RowReader {
 public:
  // Sentinels and shared experts are left out, a row with an id twice counts as not recorded.
  void read(const RawPiece& piece, const RowPlan& plan, std::size_t token, ReadRow& out);

 private:
  std::vector<std::int64_t> raw_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
};

struct NormalTrace::State {
  RawTrace raw;
  Trace head;
  std::vector<RowPlan> rows;
  std::vector<std::size_t> piece_begin;  // first token of each piece, and the number of tokens at the end
  std::size_t slots = 0, logit_width = 0;
  bool ids_from_logits = false;
  bool map_ids = false;               // physical ids become logical ones
  std::vector<std::int32_t> logical;  // [row, physical id] of the placement, when map_ids
  std::size_t physical = 0;           // width of `logical`
  bool log_of_probabilities = false;
  std::uint32_t k_of_logits = 0;
  bool has_token_ids = false, has_sequences = false, has_positions = false, has_steps = false, has_ranks = false,
       has_phases = false, has_weights = false;
  std::vector<std::string> slot_names;

  [[nodiscard]] std::size_t tokens() const { return piece_begin.empty() ? 0 : piece_begin.back(); }
};

}  // namespace moescope
