#include "core/analysis/kernels/row_tile.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace moescope::kernels {

std::size_t tile_capacity(std::uint32_t experts) {
  const std::size_t words = words_of(experts);
  return words <= 4 ? 8192 : std::max<std::size_t>(512, 32768 / words);
}

void RowTile::point_at_bytes(const TokenTile& tile, std::uint32_t row) {
  const Segment& segment = *tile.segment;
  const std::uint8_t* const bytes = segment.ids8.values.data() + row * segment.tokens * slots_;
  if (!tile.offsets) {
    raw_ = bytes + tile.first * slots_;
    return;
  }
  gathered_.resize(capacity_ * slots_);
  if (slots_ == 8) {
    for (std::size_t t = 0; t < tokens_; ++t)
      std::memcpy(&gathered_[t * 8], bytes + tile.offsets[t] * std::size_t{8}, 8);
  } else {
    for (std::size_t t = 0; t < tokens_; ++t) {
      std::memcpy(&gathered_[t * slots_], bytes + tile.offsets[t] * slots_, slots_);
    }
  }
  raw_ = gathered_.data();
}

// False as soon as one slot of one token is not filled, where a `used` column says so; without one, ids tell.
bool RowTile::all_filled(const TokenTile& tile, std::uint32_t row) const {
  const Segment& segment = *tile.segment;
  if (segment.used.empty()) return true;
  const std::uint8_t* const used = segment.used.values.data() + row * segment.tokens;
  const auto full = static_cast<std::uint8_t>(slots_);
  std::uint8_t different = 0;
  if (tile.offsets) {
    for (std::size_t t = 0; t < tokens_; ++t) {
      different = static_cast<std::uint8_t>(different | (used[tile.offsets[t]] ^ full));
    }
  } else {
    for (std::size_t t = 0; t < tokens_; ++t) {
      different = static_cast<std::uint8_t>(different | (used[tile.first + t] ^ full));
    }
  }
  return different == 0;
}

// Whether all ones may hide an unfilled slot, in a row that has an expert of that number and no `used` column.
bool RowTile::may_hide_unfilled(const Segment& segment, std::uint32_t row) const {
  if (!segment.used.empty() || experts_ < 256) return false;
  if (segment.all_ones_is_expert.empty() || segment.all_ones_is_expert[row] == 0) return counts_[255] > 0;
  if (counts_[255] < slots_) return false;
  for (std::size_t t = 0; t < tokens_; ++t) {
    const std::uint8_t* const token = raw_ + t * slots_;
    if (std::all_of(token, token + slots_, [](std::uint8_t id) { return id == 0xFF; })) return true;
  }
  return false;
}

bool RowTile::count_raw() {
  std::fill(counts_.begin(), counts_.end(), 0U);
  if (set_.sum_ids && slots_ == 8 && experts_ <= 64) {
    std::size_t slots = 0;
    const bool known = set_.sum_ids(raw_, tokens_, counts_.data());
    for (std::size_t e = 0; e < experts_; ++e) slots += counts_[e];
    if (known && slots == tokens_ * slots_) return true;  // else an id that is no expert, or one that comes twice
    std::fill(counts_.begin(), counts_.end(), 0U);
  }
  set_.count_bytes(raw_, tokens_ * slots_, counts_.data());
  std::size_t others = 0;
  for (std::size_t v = experts_; v < 256; ++v) others += counts_[v];
  return others == 0;
}

bool RowTile::sum_raw_sets() {
  if (hot_experts_ != experts_) {
    hot_experts_ = experts_;
    one_hot_.assign(256 * words_, 0);
    for (std::size_t e = 0; e < experts_; ++e) one_hot_[e * words_ + e / 64] = std::uint64_t{1} << (e % 64);
  }
  set_.set_bits(raw_, tokens_, slots_, one_hot_.data(), words_, sets_.data());
  std::fill(counts_.begin(), counts_.end(), 0U);
  set_.sum_bits(sets_.data(), tokens_, words_, counts_.data());
  // Fewer bits than slots: an id that is no expert, or one that comes twice.
  std::size_t bits = 0;
  for (const std::uint32_t n : counts_) bits += n;
  return bits == tokens_ * slots_;
}

void RowTile::load(const TokenTile& tile, std::uint32_t row, std::uint32_t experts, bool with_sets) {
  const Segment& segment = *tile.segment;
  tokens_ = tile.tokens;
  slots_ = segment.slots;
  experts_ = experts;
  words_ = words_of(experts);
  bad_ = 0;
  regular_ = repeats_ = decoded_ = listed_ = in_columns_ = false;
  counts_.resize(std::max<std::size_t>(words_ * 64, 256));
  if (with_sets) sets_.resize(((capacity_ + 511) / 512 * 512 + 512) * words_);
  if (!segment.ids8.empty() && slots_ > 0 && experts <= 256 && all_filled(tile, row)) {
    point_at_bytes(tile, row);
    regular_ = (with_sets ? sum_raw_sets() : count_raw()) && !may_hide_unfilled(segment, row);
  }
  if (regular_) {
    with_expert_ = tokens_;
  } else {
    decode(tile, row);
    if (with_sets) sets_of_ids();
  }
  if (with_sets) {
    std::fill(sets_.begin() + static_cast<std::ptrdiff_t>(tokens_ * words_),
              sets_.begin() + static_cast<std::ptrdiff_t>((padded_tokens() + 1) * words_), 0U);
  }
}

void RowTile::decode(const TokenTile& tile, std::uint32_t row) {
  const Segment& segment = *tile.segment;
  const auto sink = static_cast<std::uint16_t>(experts_);
  decoded_ = true;
  with_expert_ = 0;
  slots_ = std::max<std::size_t>(1, segment.slots);
  std::fill(counts_.begin(), counts_.end(), 0U);
  ids_.resize(capacity_ * slots_);
  has_.assign((tokens_ + 63) / 64, 0);
  for (std::size_t t = 0; t < tokens_; ++t) {
    std::uint16_t* const out = ids_.data() + t * slots_;
    const std::size_t token = tile.token(t);
    const std::size_t filled = segment.has_ids() ? segment.filled(row, token) : 0;
    bool any = false;
    for (std::size_t s = 0; s < filled; ++s) {
      const std::uint32_t id = segment.id(row, token, s);
      out[s] = id < experts_ ? static_cast<std::uint16_t>(id) : sink;
      if (id < experts_) {
        ++counts_[id];
        any = true;
      } else {
        ++bad_;
      }
    }
    std::fill(out + filled, out + slots_, sink);
    with_expert_ += any ? 1 : 0;
    has_[t / 64] |= std::uint64_t{any} << (t % 64);
  }
}

const std::vector<std::uint16_t>& RowTile::ids() {
  if (!decoded_) {
    ids_.resize(capacity_ * slots_);
    std::copy_n(raw_, tokens_ * slots_, ids_.begin());
    decoded_ = true;
  }
  return ids_;
}

void RowTile::add_run(std::size_t begin, std::size_t end, std::uint32_t* counts) {
  constexpr std::size_t short_run = 256;  // tokens for which clearing tables would cost more than it saves
  if (regular_ && end - begin >= short_run) {
    std::uint32_t bytes[256] = {};
    set_.count_bytes(raw_ + begin * slots_, (end - begin) * slots_, bytes);
    for (std::size_t e = 0; e < experts_; ++e) counts[e] += bytes[e];
    return;
  }
  for (std::size_t i = begin * slots_; i < end * slots_; ++i) {
    const std::uint32_t e = regular_ ? raw_[i] : ids_[i];
    if (e < experts_) ++counts[e];
  }
}

void RowTile::add_grouped(std::size_t begin, std::size_t end, const std::uint32_t* group_of, std::size_t count,
                          std::uint32_t* counts) const {
  for (std::size_t t = begin; t < end; ++t) {
    if (group_of[t] >= count) continue;
    std::uint32_t* const to = counts + group_of[t] * std::size_t{experts_};
    if (regular_ && slots_ == 8) {
      std::uint64_t eight;
      std::memcpy(&eight, raw_ + t * 8, 8);
      for (unsigned s = 0; s < 64; s += 8) ++to[eight >> s & 255U];
    } else {
      for (std::size_t s = 0; s < slots_; ++s) {
        if (const std::uint32_t e = id(t, s); e < experts_) ++to[e];
      }
    }
  }
}

bool RowTile::holds(std::size_t token, std::uint32_t expert) const {
  if (regular_) return std::memchr(raw_ + token * slots_, static_cast<int>(expert), slots_) != nullptr;
  const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(token * slots_);
  return std::find(first, first + static_cast<std::ptrdiff_t>(slots_), expert) !=
         first + static_cast<std::ptrdiff_t>(slots_);
}

std::size_t RowTile::tokens_with_expert(std::size_t begin, std::size_t end) const {
  if (complete()) return end - begin;
  std::size_t n = 0;
  for (std::size_t t = begin; t < end; ++t) n += has_expert(t) ? 1 : 0;
  return n;
}

void RowTile::sets_of_ids() {
  std::fill_n(sets_.begin(), tokens_ * words_, 0U);
  for (std::size_t t = 0; t < tokens_; ++t) {
    std::uint64_t* const set = sets_.data() + t * words_;
    for (std::size_t s = 0; s < slots_; ++s) {
      const std::uint32_t id = ids_[t * slots_ + s];
      if (id >= experts_) continue;
      const std::uint64_t bit = std::uint64_t{1} << (id % 64);
      repeats_ = repeats_ || (set[id / 64] & bit) != 0;
      set[id / 64] |= bit;
    }
  }
}

void RowTile::make_lists() {
  if (listed_) return;
  listed_ = true;
  starts_.resize(experts_ + std::size_t{1});
  cursor_.resize(std::max<std::size_t>(256, experts_));
  std::uint32_t at = 0;
  for (std::size_t e = 0; e < experts_; ++e) {
    starts_[e] = cursor_[e] = at;
    at += static_cast<std::uint32_t>((counts_[e] + list_unit - 1) / list_unit * list_unit);
  }
  starts_[experts_] = at;
  if (lists_.size() < at) lists_.resize(at);
  if (regular_) {
    set_.fill_lists(raw_, tokens_, slots_, cursor_.data(), lists_.data());
  } else {
    for (std::size_t t = 0; t < tokens_; ++t) {
      for (std::size_t s = 0; s < slots_; ++s) {
        const std::uint32_t id = ids_[t * slots_ + s];
        if (id < experts_) lists_[cursor_[id]++] = static_cast<std::uint16_t>(t);
      }
    }
  }
  for (std::size_t e = 0; e < experts_; ++e) {
    std::fill(lists_.begin() + static_cast<std::ptrdiff_t>(cursor_[e]),
              lists_.begin() + static_cast<std::ptrdiff_t>(starts_[e + 1]), static_cast<std::uint16_t>(tokens_));
  }
}

void RowTile::make_columns() {
  if (in_columns_) return;
  in_columns_ = true;
  columns_.resize((capacity_ + column_tokens - 1) / column_tokens * column_tokens);
  set_.to_columns(sets_.data(), padded_tokens(), columns_.data());
}

}  // namespace moescope::kernels
