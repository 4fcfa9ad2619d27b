#include "plugins/torch_engine/recorder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace moescope::torch_engine {
namespace {

constexpr float not_recorded = std::numeric_limits<float>::quiet_NaN();

std::vector<float> column(bool wanted, std::size_t size) {
  return wanted ? std::vector<float>(size, not_recorded) : std::vector<float>();
}

// Index in the segment of each token of a batch.
std::vector<std::size_t> segment_tokens(const TokenRuns& runs) {
  std::vector<std::size_t> out;
  for (const auto& [first, length] : runs) {
    for (std::size_t t = 0; t < length; ++t) out.push_back(first + t);
  }
  return out;
}

// Copies rows of `width` floats of a batch to their places in a column that starts at `base`.
void scatter(const TokenRuns& runs, const at::Tensor& values, float* base, std::size_t width) {
  const at::Tensor dense = values.contiguous();
  const float* from = dense.data_ptr<float>();
  for (const auto& [first, length] : runs) {
    std::memcpy(base + first * width, from, length * width * sizeof(float));
    from += length * width;
  }
}

}  // namespace

Recorder::Recorder(const RecordOptions& options, const RunPlan& plan, const SequenceGroup& group,
                   std::size_t vocabulary, OutputSampler* sampler)
    : sampler_(sampler),
      first_token_(group.first_token),
      rows_(plan.rows.size()),
      tokens_(group.tokens),
      slots_(plan.slots),
      logit_width_(0),
      vocabulary_(vocabulary) {
  std::uint32_t most = 0;
  for (const RouterRow& row : plan.rows) most = std::max(most, row.experts);
  logit_width_ = most;
  narrow_ = most < 256;
  const std::size_t cells = rows_ * tokens_;
  if (narrow_) {
    ids8_.assign(cells * slots_, 0xFF);
  } else {
    ids16_.assign(cells * slots_, 0xFFFF);
  }
  if (plan.used_varies) used_.assign(cells, used_code::not_recorded);
  for (std::size_t r = 0; plan.streams && r < rows_; ++r) {
    const bool encoder = plan.rows[r].stream == stream_names[0];
    for (std::size_t s = group.first_sequence; s < group.first_sequence + group.sequences; ++s) {
      const PlannedSequence& sequence = plan.sequences[s];
      const std::size_t others = encoder ? sequence.length - sequence.encoder : sequence.encoder;
      const std::size_t first = sequence.first_token - first_token_ + (encoder ? sequence.encoder : 0);
      std::fill_n(used_.begin() + static_cast<std::ptrdiff_t>(r * tokens_ + first), others, used_code::other_stream);
    }
  }
  margin_ = column(plan.has_margin, cells);
  dropped_ = column(plan.has_capacity, cells * slots_);
  weights_ = column(options.gate_weights, cells * slots_);
  router_logits_ = column(options.router_logits, cells * logit_width_);
  norms_ = column(options.expert_output_norms, cells * slots_);
  loss_ = column(options.token_loss, tokens_);
  output_logits_ = column(options.output_logits, tokens_ * vocabulary_);
}

template <typename Id>
void Recorder::store_ids(std::vector<Id>& column, std::size_t row, const TokenRuns& runs, const RowDecision& decision) {
  const at::Tensor ids = decision.ids.contiguous(), weights = decision.weights.contiguous();
  const auto k = static_cast<std::size_t>(ids.size(1));
  const auto* id = ids.data_ptr<std::int64_t>();
  const auto* weight = weights.data_ptr<float>();
  for (const auto& [first, length] : runs) {
    for (std::size_t t = 0; t < length; ++t, id += k, weight += k) {
      const std::size_t cell = row * tokens_ + first + t;
      std::size_t filled = 0;
      while (filled < k && id[filled] >= 0) {
        column[cell * slots_ + filled] = static_cast<Id>(id[filled]);
        ++filled;
      }
      if (!weights_.empty()) std::copy_n(weight, filled, weights_.begin() + static_cast<std::ptrdiff_t>(cell * slots_));
      if (!used_.empty()) used_[cell] = filled == 0 ? used_code::dropped : static_cast<std::uint8_t>(filled);
    }
  }
}

void Recorder::row(std::size_t row, const TokenRuns& runs, const RowDecision& decision) {
  narrow_ ? store_ids(ids8_, row, runs, decision) : store_ids(ids16_, row, runs, decision);
  if (decision.margin.defined()) scatter(runs, decision.margin, margin_.data() + row * tokens_, 1);
  if (!router_logits_.empty()) {
    const at::Tensor logits = decision.logits.contiguous();
    const auto experts = static_cast<std::size_t>(logits.size(1));
    const float* from = logits.data_ptr<float>();
    for (const auto& [first, length] : runs) {
      for (std::size_t t = 0; t < length; ++t, from += experts) {
        std::copy_n(from, experts, router_logits_.data() + (row * tokens_ + first + t) * logit_width_);
      }
    }
  }
  if (decision.dropped.defined()) {
    const at::Tensor flags = decision.dropped.contiguous();
    const auto k = static_cast<std::size_t>(flags.size(1));
    const auto* flag = flags.data_ptr<std::uint8_t>();
    for (const auto& [first, length] : runs) {
      for (std::size_t t = 0; t < length; ++t, flag += k) {
        std::copy_n(flag, k, dropped_.data() + (row * tokens_ + first + t) * slots_);
      }
    }
  }
}

void Recorder::skipped_row(std::size_t row, const TokenRuns& runs) {
  for (const auto& [first, length] : runs) {
    std::fill_n(used_.begin() + static_cast<std::ptrdiff_t>(row * tokens_ + first), length, used_code::skipped_layer);
  }
}

void Recorder::expert_outputs(std::size_t row, const TokenRuns& runs, const blocks::Dispatch& dispatch,
                              const at::Tensor& outputs) {
  if (norms_.empty() && !sampler_) return;
  const std::vector<std::size_t> tokens = segment_tokens(runs);
  if (!norms_.empty()) {
    const at::Tensor norms = at::norm(outputs.to(at::kFloat), 2, {1}).cpu();
    const at::Tensor slots = dispatch.slots.cpu();
    const auto k = static_cast<std::size_t>(dispatch.slot_count);
    for (std::int64_t s = 0; s < slots.size(0); ++s) {
      const auto slot = static_cast<std::size_t>(slots.data_ptr<std::int64_t>()[s]);
      norms_[(row * tokens_ + tokens[slot / k]) * slots_ + slot % k] = norms.data_ptr<float>()[s];
    }
  }
  if (sampler_) sampler_->add(row, first_token_, tokens, dispatch, outputs);
}

void Recorder::tokens(const TokenRuns& runs, std::size_t first, std::span<const float> losses,
                      const at::Tensor& logits) {
  at::Tensor rows = logits;
  const float* from = nullptr;
  if (rows.defined() && !output_logits_.empty()) {
    rows = rows.to(at::kCPU, at::kFloat).contiguous();
    from = rows.data_ptr<float>();
  }
  std::size_t place = 0, done = 0;
  for (const auto& [begin, length] : runs) {
    for (std::size_t t = 0; t < length && done < losses.size(); ++t, ++place) {
      if (place < first) continue;
      if (!loss_.empty()) loss_[begin + t] = losses[done];
      if (from) std::copy_n(from + done * vocabulary_, vocabulary_, output_logits_.data() + (begin + t) * vocabulary_);
      ++done;
    }
  }
}

std::pair<double, std::size_t> Recorder::loss_total() const {
  std::pair<double, std::size_t> out{0.0, 0};
  for (const float loss : loss_) {
    if (std::isnan(loss)) continue;
    out.first += loss;
    ++out.second;
  }
  return out;
}

Segment Recorder::take_segment() {
  Segment out;
  out.rows = rows_;
  out.tokens = tokens_;
  out.slots = slots_;
  if (narrow_) {
    out.ids8 = Column<std::uint8_t>::own(std::move(ids8_));
  } else {
    out.ids16 = Column<std::uint16_t>::own(std::move(ids16_));
  }
  if (!used_.empty()) out.used = Column<std::uint8_t>::own(std::move(used_));
  if (!weights_.empty()) out.gate_weights = FloatColumn::own(std::move(weights_));
  if (!router_logits_.empty()) {
    out.logit_width = logit_width_;
    out.router_logits = FloatColumn::own(std::move(router_logits_));
  }
  if (!output_logits_.empty()) out.output_logits = FloatColumn::own(std::move(output_logits_));
  if (!margin_.empty()) out.row_values["margin"] = FloatColumn::own(std::move(margin_));
  if (!dropped_.empty()) out.slot_values["dropped"] = FloatColumn::own(std::move(dropped_));
  if (!norms_.empty()) out.slot_values["output_norm"] = FloatColumn::own(std::move(norms_));
  if (!loss_.empty()) out.token_values["loss"] = FloatColumn::own(std::move(loss_));
  return out;
}

}  // namespace moescope::torch_engine
