// Segments of a normalised trace.
#include "core/trace/import/normal_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace moescope {
namespace {

constexpr float unknown_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t wide_ids = 1U << 16U;

// Fills one segment, token by token, from the pieces that overlap it.
class SegmentMaker {
 public:
  SegmentMaker(const NormalTrace::State& state, std::size_t first, std::size_t count)
      : s_(state), first_(first), count_(count), rows_(state.rows.size()), segment_(std::make_shared<Segment>()) {}

  Expected<std::shared_ptr<const Segment>> make() {
    segment_->rows = rows_;
    segment_->tokens = count_;
    segment_->slots = s_.slots;
    segment_->logit_width = s_.logit_width;
    allocate();
    auto piece = static_cast<std::size_t>(std::upper_bound(s_.piece_begin.begin(), s_.piece_begin.end(), first_) -
                                          s_.piece_begin.begin() - 1);
    for (std::size_t t = 0; t < count_; ++t) {
      while (first_ + t >= s_.piece_begin[piece + 1]) ++piece;
      const RawPiece& from = s_.raw.pieces[piece];
      const std::size_t token = first_ + t - s_.piece_begin[piece];
      for (std::size_t r = 0; r < rows_; ++r) {
        if (auto done = route(from, r, token, t); !done) return fail(done.error());
      }
      facts(from, token, t);
    }
    finish();
    return std::shared_ptr<const Segment>(segment_);
  }

 private:
  void allocate() {
    const std::size_t cells = rows_ * count_;
    if (s_.slots > 0) {
      wide_.assign(cells * s_.slots, 0xFFFF);
      used_.assign(cells, used_code::not_recorded);
      if (s_.has_weights) weights_.assign(cells * s_.slots, unknown_number);
      for (const std::string& name : s_.slot_names) slot_values_[name].assign(cells * s_.slots, unknown_number);
    }
    if (s_.logit_width > 0) logits_.assign(cells * s_.logit_width, unknown_number);
    const auto room = [&](bool has, std::vector<std::int32_t>& values) {
      if (has) values.assign(count_, -1);
    };
    room(s_.has_token_ids, token_ids_);
    room(s_.has_sequences, sequences_);
    room(s_.has_positions, positions_);
    room(s_.has_steps, steps_);
    room(s_.has_ranks, ranks_);
    if (s_.has_phases) phases_.assign(count_, 0xFF);
    for (const auto& [name, names] : s_.head.info->tag_names) tags_[name].assign(count_, -1);
  }

  Expected<void> route(const RawPiece& from, std::size_t r, std::size_t token, std::size_t t) {
    const RowPlan& plan = s_.rows[r];
    const std::size_t cell = r * count_ + t;
    if (const RawPlane* const logits = from.logits.at(plan.source)) {
      scratch_.resize(logits->width);
      logits->numbers(token, scratch_);
      if (s_.ids_from_logits) choose(cell);
      if (s_.log_of_probabilities) {
        for (float& p : scratch_) p = std::log(std::max(p, std::numeric_limits<float>::min()));
      }
      std::copy(scratch_.begin(), scratch_.end(), logits_.begin() + static_cast<std::ptrdiff_t>(cell * s_.logit_width));
    }
    if (s_.slots == 0 || s_.ids_from_logits) return {};
    reader_.read(from, plan, token, row_);
    if (row_.bad_id >= 0) {
      return fail(ErrorKind::input,
                  fmt::format("the trace holds expert id {} in a router of {} experts", row_.bad_id, plan.id_limit),
                  fmt::format("layer {}, token {}", s_.head.rows()[r].layer, first_ + t),
                  "Give the model it was recorded on, or the right number of experts");
    }
    used_[cell] = row_.filled > 0 ? static_cast<std::uint8_t>(row_.filled) : row_.code;
    const std::size_t at = cell * s_.slots;
    for (std::size_t i = 0; i < row_.filled; ++i) {
      wide_[at + i] = s_.map_ids ? static_cast<std::uint16_t>(s_.logical[r * s_.physical + row_.ids[i]]) : row_.ids[i];
    }
    if (s_.map_ids) {
      auto& places = slot_values_["physical_id"];
      for (std::size_t i = 0; i < row_.filled; ++i) places[at + i] = static_cast<float>(row_.ids[i]);
    }
    if (const RawPlane* const weights = from.weights.at(plan.source)) by_slot(*weights, token, at, weights_);
    for (const auto& [name, grid] : from.slot_values) {
      if (const RawPlane* const values = grid.at(plan.source)) by_slot(*values, token, at, slot_values_[name]);
    }
    return {};
  }

  // Numbers of the slots that were kept, in the order in which they were kept.
  void by_slot(const RawPlane& plane, std::size_t token, std::size_t at, std::vector<float>& out) {
    scratch_.resize(plane.width);
    plane.numbers(token, scratch_);
    for (std::size_t i = 0; i < row_.filled; ++i) {
      if (row_.from[i] < scratch_.size()) out[at + i] = scratch_[row_.from[i]];
    }
  }

  // The k largest of the scratch: descending, lower id first on ties. A row with NaN was not recorded.
  void choose(std::size_t cell) {
    if (std::any_of(scratch_.begin(), scratch_.end(), [](float v) { return std::isnan(v); })) return;
    order_.resize(scratch_.size());
    for (std::size_t e = 0; e < order_.size(); ++e) order_[e] = static_cast<std::uint16_t>(e);
    const std::size_t k = std::min<std::size_t>(s_.k_of_logits, order_.size());
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(k), order_.end(),
                      [&](std::uint16_t a, std::uint16_t b) {
                        return scratch_[a] > scratch_[b] || (scratch_[a] == scratch_[b] && a < b);
                      });
    std::copy_n(order_.begin(), k, wide_.begin() + static_cast<std::ptrdiff_t>(cell * s_.slots));
    used_[cell] = static_cast<std::uint8_t>(k);
  }

  void facts(const RawPiece& from, std::size_t token, std::size_t t) {
    const auto copy = [&](const auto& values, auto& out) {
      if (!values.empty() && !out.empty()) out[t] = values[token];
    };
    copy(from.token_ids, token_ids_);
    copy(from.sequence_ids, sequences_);
    copy(from.positions, positions_);
    copy(from.steps, steps_);
    copy(from.ranks, ranks_);
    copy(from.phases, phases_);
    for (const auto& [name, value] : from.tags) {
      const auto& names = s_.head.info->tag_names.at(name);
      tags_[name][t] = static_cast<std::int32_t>(std::find(names.begin(), names.end(), value) - names.begin());
    }
  }

  void finish() {
    Segment& out = *segment_;
    std::uint32_t widest = 0;
    for (const RouterRow& row : s_.head.rows()) widest = std::max(widest, row.experts);
    if (s_.slots > 0) {
      // `used` says what the ids alone cannot: E = 256 in bytes, and any reason but "not recorded".
      const bool codes = widest == 256 || std::any_of(used_.begin(), used_.end(), [](std::uint8_t n) {
                           return n > used_code::max_filled && n != used_code::not_recorded;
                         });
      if (widest <= 256) {
        std::vector<std::uint8_t> narrow(wide_.size());
        std::transform(wide_.begin(), wide_.end(), narrow.begin(),
                       [](auto id) { return static_cast<std::uint8_t>(id); });
        out.ids8 = Column<std::uint8_t>::own(std::move(narrow));
      } else {
        out.ids16 = Column<std::uint16_t>::own(std::move(wide_));
      }
      if (codes) out.used = Column<std::uint8_t>::own(std::move(used_));
    }
    if (!weights_.empty()) out.gate_weights = FloatColumn::own(std::move(weights_));
    if (!logits_.empty()) out.router_logits = FloatColumn::own(std::move(logits_));
    for (auto& [name, values] : slot_values_) out.slot_values[name] = FloatColumn::own(std::move(values));
    const auto give = [](auto& values, auto& column) {
      if (!values.empty()) column = std::decay_t<decltype(column)>::own(std::move(values));
    };
    give(token_ids_, out.token_ids);
    give(sequences_, out.sequence_ids);
    give(positions_, out.positions);
    give(steps_, out.steps);
    give(ranks_, out.ranks);
    give(phases_, out.phases);
    for (auto& [name, codes] : tags_) {
      out.tags[name].names = s_.head.info->tag_names.at(name);
      out.tags[name].codes = Column<std::int32_t>::own(std::move(codes));
    }
  }

  const NormalTrace::State& s_;
  std::size_t first_, count_, rows_;
  std::shared_ptr<Segment> segment_;
  RowReader reader_;
  ReadRow row_;
  std::vector<std::uint16_t> wide_, order_;
  std::vector<std::uint8_t> used_, phases_;
  std::vector<float> weights_, logits_, scratch_;
  std::map<std::string, std::vector<float>> slot_values_;
  std::vector<std::int32_t> token_ids_, sequences_, positions_, steps_, ranks_;
  std::map<std::string, std::vector<std::int32_t>> tags_;
};

}  // namespace

void RowReader::read(const RawPiece& piece, const RowPlan& plan, std::size_t token, ReadRow& out) {
  out.filled = 0;
  out.code = used_code::not_recorded;
  out.duplicate = false;
  out.bad_id = -1;
  const RawPlane* const plane = piece.ids.at(plan.source);
  if (plane == nullptr) return;
  if (seen_.empty()) seen_.assign(wide_ids, 0);
  raw_.resize(plane->width);
  plane->integers(token, raw_);
  if (++stamp_ == 0) {
    std::fill(seen_.begin(), seen_.end(), 0);
    stamp_ = 1;
  }
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const std::int64_t id = raw_[i];
    if (id < 0 || (plan.drop_255 && id == 255)) continue;
    const bool known = id < plan.id_limit;
    if (!known && id - plan.id_limit < plan.fused_shared) continue;
    if (id < static_cast<std::int64_t>(wide_ids)) {
      std::uint32_t& mark = seen_[static_cast<std::size_t>(id)];
      out.duplicate = out.duplicate || mark == stamp_;
      mark = stamp_;
    }
    if (!known) {
      out.bad_id = id;
      continue;
    }
    if (out.filled == out.ids.size()) break;
    out.ids[out.filled] = static_cast<std::uint16_t>(id);
    out.from[out.filled++] = static_cast<std::uint16_t>(i);
  }
  // A row with an id twice was made by no router, so its ids are not held against the number of experts.
  if (out.duplicate) out.bad_id = -1;
  if (out.duplicate) out.filled = 0;
  if (out.filled == 0 && !out.duplicate && piece.empty_is_cached) out.code = used_code::cached_prefix;
}

NormalTrace::NormalTrace(std::unique_ptr<State> state) : state_(std::move(state)) {}
NormalTrace::NormalTrace(NormalTrace&&) noexcept = default;
NormalTrace& NormalTrace::operator=(NormalTrace&&) noexcept = default;
NormalTrace::~NormalTrace() = default;

const Trace& NormalTrace::head() const {
  return state_->head;
}

std::size_t NormalTrace::tokens() const {
  return state_->tokens();
}

std::size_t NormalTrace::values_per_token() const {
  return std::max<std::size_t>({1, state_->rows.size() * state_->slots, state_->rows.size() * state_->logit_width});
}

Expected<std::shared_ptr<const Segment>> NormalTrace::segment(std::size_t first, std::size_t count) const {
  return SegmentMaker(*state_, first, count).make();
}

}  // namespace moescope
