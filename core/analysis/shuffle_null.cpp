#include "core/analysis/shuffle_null.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/analysis/common.h"
#include "core/analysis/kernels/pair_table.h"

namespace moescope {
namespace {

using kernels::RowTile;
using kernels::TokenTile;

// Routes of one row over some tokens, copied together so that they can be permuted: a small segment of its own.
class RowCopy {
 public:
  RowCopy(std::uint32_t experts, std::size_t slots) : experts_(experts), slots_(slots) {}

  void clear() {
    ids_.clear();
    used_.clear();
    whole_ = experts_ <= 256;
  }
  // Appends a token's experts; ids that are none are left out. False, and nothing appended, when there are none.
  bool append(const Segment& segment, std::uint32_t row, std::size_t token) {
    const std::size_t filled = segment.has_ids() ? segment.filled(row, token) : 0;
    std::size_t known = 0;
    ids_.resize(ids_.size() + slots_, 0xFFFF);
    std::uint16_t* const out = ids_.data() + ids_.size() - slots_;
    // A first rank that is no expert must stay first: it has no place in the table of first ranks.
    for (std::size_t s = 0; s < filled; ++s) {
      out[s] = static_cast<std::uint16_t>(segment.id_below(experts_, row, token, s));
      known += out[s] < experts_ ? 1 : 0;
    }
    if (known == 0) {
      ids_.resize(ids_.size() - slots_);
      return false;
    }
    whole_ = whole_ && known == slots_;
    used_.push_back(static_cast<std::uint8_t>(filled));
    return true;
  }
  void remove_last() {
    ids_.resize(ids_.size() - slots_);
    used_.pop_back();
  }
  // Bytes where every slot holds an expert.
  void finish() {
    bytes_.resize(whole_ ? ids_.size() : 0);
    std::transform(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(bytes_.size()), bytes_.begin(),
                   [](std::uint16_t id) { return static_cast<std::uint8_t>(id); });
  }
  [[nodiscard]] std::size_t tokens() const { return used_.size(); }

  // Takes the tokens order[0..count) of another copy of the same row.
  void permute(const RowCopy& from, const std::uint16_t* order, std::size_t count) {
    whole_ = from.whole_;
    used_.resize(count);
    bytes_.resize(whole_ ? count * slots_ : 0);
    ids_.resize(whole_ ? 0 : count * slots_);
    for (std::size_t t = 0; t < count; ++t) used_[t] = from.used_[order[t]];
    if (!whole_) {
      for (std::size_t t = 0; t < count; ++t) {
        std::copy_n(from.ids_.data() + order[t] * slots_, slots_, ids_.data() + t * slots_);
      }
    } else if (slots_ == 8) {
      for (std::size_t t = 0; t < count; ++t) std::memcpy(&bytes_[t * 8], &from.bytes_[order[t] * std::size_t{8}], 8);
    } else {
      for (std::size_t t = 0; t < count; ++t) {
        std::memcpy(&bytes_[t * slots_], &from.bytes_[order[t] * slots_], slots_);
      }
    }
  }
  // As a segment of one row; refers to this object.
  [[nodiscard]] Segment segment() const {
    Segment segment;
    segment.rows = 1;
    segment.tokens = used_.size();
    segment.slots = slots_;
    segment.used.values = used_;
    if (whole_) {
      segment.ids8.values = bytes_;
    } else {
      segment.ids16.values = ids_;
    }
    return segment;
  }

 private:
  std::uint32_t experts_;
  std::size_t slots_;
  bool whole_ = true;
  std::vector<std::uint16_t> ids_;
  std::vector<std::uint8_t> bytes_, used_;
};

// Both rows over a batch of whole stretches, and where the stretches end.
class PairCopy {
 public:
  PairCopy(const Trace& trace, kernels::Rows rows, std::size_t slots)
      : from(trace.rows()[rows.from].experts, slots), to(trace.rows()[rows.to].experts, slots), rows_(rows) {
    std::size_t begin = 0;
    for (const auto& segment : trace.segments) {
      segments_.push_back(segment.get());
      begins_.push_back(begin);
      begin += segment->tokens;
    }
  }
  void clear() {
    from.clear();
    to.clear();
    ends.clear();
  }
  void append(std::span<const std::uint32_t> tokens) {
    for (const std::uint32_t token : tokens) {
      if (token < begins_[current_] || token >= begins_[current_] + segments_[current_]->tokens) {
        const auto after = std::upper_bound(begins_.begin(), begins_.end(), std::size_t{token});
        current_ = static_cast<std::size_t>(after - begins_.begin()) - 1;
      }
      const Segment& segment = *segments_[current_];
      if (!from.append(segment, rows_.from, token - begins_[current_])) continue;
      if (!to.append(segment, rows_.to, token - begins_[current_])) from.remove_last();
    }
    ends.push_back(from.tokens());
  }

  RowCopy from, to;
  std::vector<std::size_t> ends;  // of the stretches

 private:
  kernels::Rows rows_;
  std::vector<const Segment*> segments_;
  std::vector<std::size_t> begins_;
  std::size_t current_ = 0;
};

// One permutation of the batch's tokens, within each stretch. `number` is that of the batch's first stretch.
void draw_order(const PairCopy& batch, std::uint64_t seed, std::size_t draw, std::size_t number,
                std::vector<std::uint16_t>& order) {
  order.resize(batch.from.tokens());
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  std::size_t begin = 0;
  for (std::size_t s = 0; s < batch.ends.size(); ++s) {
    Random random(mix_seed(seed, draw, number + s));
    for (std::size_t i = batch.ends[s] - begin; i > 1; --i) {
      // 32 random bits scaled to i: uneven by less than i / 2^32.
      const std::size_t other = static_cast<std::size_t>((random.next() >> 32U) * i >> 32U);
      std::swap(order[begin + i - 1], order[begin + other]);
    }
    begin = batch.ends[s];
  }
}

}  // namespace

void count_shuffled(const Trace& trace, const GroupedTokens& grouped, kernels::Rows rows, kernels::Ranks ranks,
                    std::size_t draws, std::uint64_t seed, const WorkContext& work,
                    const std::function<void(const kernels::PairCounts&)>& take) {
  const std::uint32_t from_experts = trace.rows()[rows.from].experts;
  const std::uint32_t to_experts = trace.rows()[rows.to].experts;
  const std::size_t capacity = kernels::tile_capacity(std::max(from_experts, to_experts));
  const std::size_t slots = std::max<std::size_t>(1, trace.max_slots());
  const kernels::KernelSet& set = kernels::active_kernels();
  const bool with_sets = ranks != kernels::Ranks::first;
  std::vector<kernels::PairTable> tables(draws, kernels::PairTable(from_experts, to_experts, ranks));
  PairCopy batch(trace, rows, slots);
  RowCopy drawn(to_experts, slots);
  RowTile a(set, capacity), b(set, capacity);
  std::vector<std::vector<std::uint16_t>> orders(draws);
  const std::size_t groups = grouped.starts.size() - 1;
  std::size_t number = 0;  // of the batch's first stretch
  for (std::size_t group = 0, at = 0; group < groups;) {
    batch.clear();
    std::size_t taken = 0, stretches = 0;
    while (group < groups) {
      const std::size_t end = std::min(grouped.starts[group + 1], at + most_shuffled_tokens);
      if (taken > 0 && taken + (end - at) > most_shuffled_tokens) break;
      batch.append(std::span<const std::uint32_t>(grouped.tokens).subspan(at, end - at));
      taken += end - at;
      ++stretches;
      at = end;
      if (at == grouped.starts[group + 1]) ++group;
    }
    batch.from.finish();
    batch.to.finish();
    for (std::size_t draw = 0; draw < draws; ++draw) draw_order(batch, seed, draw, number, orders[draw]);
    number += stretches;
    const Segment from = batch.from.segment();
    for (std::size_t first = 0; first < from.tokens; first += capacity) {
      const std::size_t count = std::min(capacity, from.tokens - first);
      a.load(TokenTile{&from, count, first, nullptr, 0}, 0, from_experts, with_sets);
      for (std::size_t draw = 0; draw < draws; ++draw) {
        if (work.cancelled()) return;
        drawn.permute(batch.to, orders[draw].data() + first, count);
        const Segment to = drawn.segment();
        b.load(TokenTile{&to, count, 0, nullptr, 0}, 0, to_experts, with_sets);
        tables[draw].add(set, a, b);
      }
    }
  }
  for (const kernels::PairTable& table : tables) {
    kernels::PairCounts counts = kernels::empty_counts(trace.rows(), rows, ranks);
    table.add_to(counts);
    take(counts);
  }
}

}  // namespace moescope
