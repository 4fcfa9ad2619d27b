#include "core/analysis/kernels/pair_table.h"

#include <bit>

namespace moescope::kernels {

PairTable::PairTable(std::uint32_t from_experts, std::uint32_t to_experts, Ranks ranks)
    : from(from_experts), to(to_experts) {
  if (ranks != Ranks::first) cells.resize(std::size_t{from_experts} * to_experts);
  if (ranks != Ranks::all) first.resize((from_experts + std::size_t{1}) * (to_experts + std::size_t{1}));
}

// The plain loop, for tokens that hold an expert twice.
void PairTable::add_ids(RowTile& a, RowTile& b) {
  const auto& left = a.ids();
  const auto& right = b.ids();
  for (std::size_t t = 0; t < a.tokens(); ++t) {
    for (std::size_t i = 0; i < a.slots(); ++i) {
      const std::size_t e = left[t * a.slots() + i];
      if (e >= from.size()) continue;
      for (std::size_t j = 0; j < b.slots(); ++j) {
        const std::size_t f = right[t * b.slots() + j];
        if (f < to.size()) ++cells[e * to.size() + f];
      }
    }
  }
}

void PairTable::add_margins(const RowTile& a, const RowTile& b) {
  if (a.complete() && b.complete()) {
    for (std::size_t e = 0; e < from.size(); ++e) from[e] += a.counts()[e];
    for (std::size_t e = 0; e < to.size(); ++e) to[e] += b.counts()[e];
    tokens += a.tokens();
    return;
  }
  // Only tokens with an expert at both rows.
  const auto add = [](const RowTile& one, const RowTile& other, std::vector<std::uint64_t>& counts) {
    for (std::size_t t = 0; t < one.tokens(); ++t) {
      if (!other.has_expert(t)) continue;
      for (std::size_t s = 0; s < one.slots(); ++s) {
        const std::uint32_t e = one.id(t, s);
        if (e < counts.size()) ++counts[e];
      }
    }
  };
  add(a, b, from);
  add(b, a, to);
  for (std::size_t t = 0; t < a.tokens(); ++t) tokens += a.has_expert(t) && b.has_expert(t) ? 1 : 0;
}

void PairTable::add(const KernelSet& set, RowTile& a, RowTile& b) {
  bad += a.bad() + (&a == &b ? 0 : b.bad());
  add_margins(a, b);
  if (!first.empty()) {
    const std::size_t width = to.size() + 1;
    for (std::size_t t = 0; t < a.tokens(); ++t) ++first[a.id(t, 0) * width + b.id(t, 0)];
  }
  if (cells.empty()) return;
  if (a.repeats() || b.repeats()) return add_ids(a, b);
  if (set.cross_columns && a.words() == 1 && b.words() == 1) {
    a.make_columns();
    b.make_columns();
    set.cross_columns(a.columns(), b.columns(), a.padded_tokens(), from.size(), to.size(), cells.data());
    return;
  }
  a.make_lists();
  for (std::uint32_t e = 0; e < from.size(); ++e) {
    const auto list = a.list(e);
    if (list.empty()) continue;
    set.sum_listed(b.sets(), list.data(), list.size(), b.words(), to.size(), cells.data() + e * to.size());
  }
}

void PairTable::add_to(PairCounts& counts) const {
  for (std::size_t c = 0; c < cells.size(); ++c) counts.cells[c] += cells[c];
  for (std::size_t i = 0; i < from.size(); ++i) counts.from[i] += from[i];
  for (std::size_t j = 0; j < to.size(); ++j) counts.to[j] += to[j];
  const std::size_t width = to.size() + 1;
  for (std::size_t i = 0; !first.empty() && i < from.size(); ++i) {
    for (std::size_t j = 0; j < to.size(); ++j) counts.first[i * to.size() + j] += first[i * width + j];
  }
  counts.tokens += tokens;
  counts.bad += bad;
}

}  // namespace moescope::kernels
