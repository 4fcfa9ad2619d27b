#include "plugins/torch_engine/forward.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "plugins/torch_engine/blocks/relative_attention.h"
#include "plugins/torch_engine/head.h"
#include "plugins/torch_engine/interrupt.h"
#include "plugins/torch_engine/routing.h"

namespace moescope::torch_engine {
namespace {

struct Batch {
  std::size_t sequences = 0;
  TokenRuns runs;
  blocks::PackedSequences packed;
  std::vector<std::int32_t> ids, sequence_of, positions;
  blocks::RopeTables tables;
  at::Tensor hidden;  // [n, H] float32: the residual stream
  at::Tensor memory;  // of a decoder: [m, H] what the encoder made of the same sequences
  blocks::PackedSequences memory_packed;
  std::vector<std::size_t> members;
  SequenceCache* cache = nullptr;  // of the only sequence, where its tokens go on after others
  [[nodiscard]] BatchTokens tokens() const { return {ids, sequence_of, positions}; }
};

class ForwardRun {
 public:
  ForwardRun(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group, const ModelSpec& spec,
             Weights& weights, RecordSink* recorder, const WorkContext& work)
      : request_(request),
        plan_(plan),
        group_(group),
        spec_(spec),
        weights_(weights),
        recorder_(recorder),
        work_(work),
        interrupt_([this] {
          if (work_.cancelled()) throw Interrupted{};
        }),
        expert_rule_{spec.activation, spec.activation_limit} {
    for (const LayerSpec& layer : spec.layers) attention_.push_back(blocks::attention_shape(spec, layer));
  }

  Expected<void> run() {
    std::vector<Batch> batches;
    if (auto ok = read_relative_biases(); !ok) return ok;
    for (const std::vector<std::size_t>& members : group_.batches) {
      auto batch = begin_batch(members, false);
      if (!batch) return fail(batch.error());
      batches.push_back(std::move(*batch));
    }
    for (std::uint32_t l = 0; l < spec_.layers.size(); ++l) {
      if (l > 0 && l == spec_.encoder_layers) {
        if (auto ok = turn_to_decoder(batches); !ok) return ok;
      }
      const auto layer = weights_.layer(l, interrupt_);
      if (!layer) return fail(layer.error());
      for_each_batch(l, batches, [&](Batch& batch) { run_layer(l, **layer, batch); });
    }
    if (recorder_ && !recorder_->wants_head()) return {};
    auto head = make_head(spec_, weights_);
    if (!head) return fail(head.error());
    for_each_batch(static_cast<std::uint32_t>(spec_.layers.size()), batches, [&](Batch& batch) {
      run_head(*head, batch.hidden, batch.ids, batch.packed.lengths, batch.runs, recorder_, interrupt_);
      batch.hidden = at::Tensor();
    });
    return {};
  }

  // The tokens `ids` of one sequence after those in `cache`; see run_tokens().
  Expected<at::Tensor> more(std::size_t sequence, std::span<const std::int32_t> ids, SequenceCache& cache) {
    cache.layers.resize(spec_.layers.size());
    const std::int64_t first = cache.length, count = static_cast<std::int64_t>(ids.size());
    Batch batch;
    batch.sequences = 1;
    batch.cache = &cache;
    batch.runs.emplace_back(static_cast<std::size_t>(first), ids.size());
    batch.packed.lengths.push_back(count);
    batch.ids.assign(ids.begin(), ids.end());
    batch.sequence_of.assign(ids.size(), static_cast<std::int32_t>(plan_.sequences[sequence].input));
    for (std::int64_t t = 0; t < count; ++t) batch.positions.push_back(static_cast<std::int32_t>(first + t));
    auto embedded = weights_.embed(at::tensor(batch.ids).to(at::kLong));
    if (!embedded) return embedded;
    batch.hidden = std::move(*embedded);
    if (rotates()) {
      batch.tables = blocks::rope_tables_at(spec_.rope, spec_.max_positions, first, count, weights_.device());
    }
    for (std::uint32_t l = 0; l < spec_.layers.size(); ++l) {
      interrupt_();
      const auto layer = weights_.layer(l, interrupt_);
      if (!layer) return fail(layer.error());
      run_layer(l, **layer, batch);
    }
    cache.length += count;
    auto head = make_head(spec_, weights_);
    if (!head) return fail(head.error());
    if (recorder_->wants_head() && count > 1) {
      run_head(*head, batch.hidden, batch.ids, batch.packed.lengths, batch.runs, recorder_, interrupt_);
    }
    return head_logits(*head, batch.hidden.narrow(0, count - 1, 1)).select(0, 0).to(at::kCPU).contiguous();
  }

 private:
  [[nodiscard]] bool rotates() const {
    return std::any_of(spec_.layers.begin(), spec_.layers.end(),
                       [](const LayerSpec& layer) { return layer.rope && layer.mixer != Mixer::mamba; });
  }

  // The tokens of some sequences; of a model with an encoder, either what it reads or what the decoder does.
  Expected<Batch> begin_batch(const std::vector<std::size_t>& members, bool decoder) {
    Batch out;
    out.sequences = members.size();
    out.members = members;
    for (const std::size_t s : members) {
      const PlannedSequence& sequence = plan_.sequences[s];
      const std::vector<std::int32_t>& ids = decoder ? sequence.decoder_ids : request_.sequences[sequence.input].ids;
      out.runs.emplace_back(sequence.first_token - group_.first_token + (decoder ? sequence.encoder : 0), ids.size());
      out.packed.lengths.push_back(static_cast<std::int64_t>(ids.size()));
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      for (std::size_t t = 0; t < ids.size(); ++t) {
        out.sequence_of.push_back(static_cast<std::int32_t>(sequence.input));
        out.positions.push_back(static_cast<std::int32_t>(t));
      }
    }
    auto embedded = weights_.embed(at::tensor(out.ids).to(at::kLong));
    if (!embedded) return fail(embedded.error());
    out.hidden = std::move(*embedded);
    if (rotates()) {
      out.tables = blocks::rope_tables(spec_.rope, spec_.max_positions, out.packed.lengths, weights_.device());
    }
    return out;
  }

  // The biases of the first layer of each stack, which all of its layers use.
  Expected<void> read_relative_biases() {
    if (spec_.relative.buckets == 0) return {};
    for (const std::uint32_t first : {0U, spec_.encoder_layers}) {
      auto bias = weights_.outside(WeightRole::relative_bias, first);
      if (!bias) return fail(bias.error());
      blocks::RelativeView& view = first == 0 ? encoder_view_ : decoder_view_;
      view.positions = spec_.relative;
      view.bias = std::move(*bias);
      view.both_ways = first == 0;
    }
    return {};
  }

  // What the encoder made of each batch becomes what the decoder looks at; the decoder's own tokens take its place.
  Expected<void> turn_to_decoder(std::vector<Batch>& batches) {
    const auto weight = weights_.outside(WeightRole::encoder_norm);
    if (!weight) return fail(weight.error());
    for (Batch& batch : batches) {
      auto decoder = begin_batch(batch.members, true);
      if (!decoder) return fail(decoder.error());
      decoder->memory = norm(batch.hidden, *weight, {}).to(weights_.compute());
      decoder->memory_packed = std::move(batch.packed);
      batch = std::move(*decoder);
    }
    return {};
  }

  // Runs a step on every batch: one batch per thread where there are enough of them, so that threads seldom wait for
  // each other, else one after another with all threads inside. Reports come from the calling thread only.
  void for_each_batch(std::uint32_t layer, std::vector<Batch>& batches, const std::function<void(Batch&)>& step) const {
    std::atomic<std::size_t> done = 0;
    const auto caller = std::this_thread::get_id();
    const auto one = [&](Batch& batch) {
      if (std::this_thread::get_id() == caller) report(layer, done);
      interrupt_();
      step(batch);
      done += batch.sequences;
    };
    const auto threads = static_cast<std::size_t>(at::get_num_threads());
    if (plan_.batch_per_thread && weights_.device().is_cpu() && batches.size() >= 2 * threads) {
      blocks::kernels::parallel_tasks(static_cast<std::int64_t>(batches.size()),
                                      [&](std::int64_t b) { one(batches[static_cast<std::size_t>(b)]); });
    } else {
      for (Batch& batch : batches) one(batch);
    }
  }

  // Layer `layers` stands for the head.
  void report(std::uint32_t layer, std::size_t done) const {
    const std::size_t layers = spec_.layers.size(), all = plan_.sequences.size();
    const std::string stage = layer < layers ? "layer " + std::to_string(layer + 1) + " of " + std::to_string(layers)
                                             : std::string("logits and loss");
    const double in_group =
        (layer + static_cast<double>(done) / static_cast<double>(group_.sequences)) / static_cast<double>(layers + 1);
    const double tokens = static_cast<double>(group_.first_token) + in_group * static_cast<double>(group_.tokens);
    work_.report("Capture: " + stage + ", sequence " + std::to_string(group_.first_sequence + done + 1) + " of " +
                     std::to_string(all),
                 0.99 * tokens / static_cast<double>(plan_.tokens));
  }

  [[nodiscard]] at::Tensor norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const {
    return spec_.norm == Norm::rms ? blocks::rms_norm(x, weight, spec_.norm_epsilon)
                                   : blocks::layer_norm(x, weight, bias, spec_.norm_epsilon);
  }

  // The residual stream plus what a block adds to it.
  [[nodiscard]] at::Tensor plus(const at::Tensor& hidden, const at::Tensor& added) const {
    return spec_.residual_multiplier == 1.0 ? hidden + added : hidden + added * spec_.residual_multiplier;
  }

  void run_layer(std::uint32_t index, const blocks::LayerWeights& weights, Batch& batch) {
    const LayerSpec& layer = spec_.layers[index];
    SequenceCache::Layer* cache = batch.cache ? &batch.cache->layers[index] : nullptr;
    const at::Tensor normed = norm(batch.hidden, weights.input_norm, weights.input_norm_bias).to(weights_.compute());
    at::Tensor mixed;
    if (spec_.relative.buckets > 0) {
      mixed =
          blocks::relative_attention(normed, weights.attention, attention_[index],
                                     spec_.is_encoder(index) ? encoder_view_ : decoder_view_, batch.packed, interrupt_);
    } else if (layer.mixer == Mixer::mamba) {
      mixed = blocks::mamba_mixer(normed, weights.mamba, spec_.norm_epsilon, batch.packed, interrupt_,
                                  cache ? &cache->mamba : nullptr);
    } else {
      mixed = blocks::causal_attention(normed, weights.attention, attention_[index], batch.tables, batch.packed,
                                       interrupt_, cache ? &cache->attention : nullptr);
    }
    batch.hidden = plus(batch.hidden, mixed);
    if (batch.memory.defined()) batch.hidden = plus(batch.hidden, look_at_encoder(index, weights, batch));
    if (plan_.layers[index].skip) {
      if (recorder_) recorder_->skipped_row(plan_.row_of[index], batch.runs);
      return;
    }
    const at::Tensor x = norm(batch.hidden, weights.post_norm, weights.post_norm_bias);
    const at::Tensor added = layer.kind == LayerKind::dense
                                 ? blocks::expert_mlp(x.to(weights_.compute()), weights.dense, expert_rule_)
                                 : experts(index, weights, x, batch);
    batch.hidden = plus(batch.hidden, added);
  }

  [[nodiscard]] at::Tensor look_at_encoder(std::uint32_t index, const blocks::LayerWeights& weights,
                                           const Batch& batch) const {
    blocks::RelativeView view;
    view.memory = batch.memory;
    view.memory_sequences = batch.memory_packed;
    const at::Tensor x = norm(batch.hidden, weights.cross_norm, {}).to(weights_.compute());
    return blocks::relative_attention(x, weights.cross, attention_[index], view, batch.packed, interrupt_);
  }

  // The experts of one layer, shared ones included: x [n, H] float32 → [n, H] float32.
  [[nodiscard]] at::Tensor experts(std::uint32_t index, const blocks::LayerWeights& weights, const at::Tensor& x,
                                   const Batch& batch) {
    const LayerSpec& layer = spec_.layers[index];
    const LayerHooks& hooks = plan_.layers[index];
    const std::size_t row = plan_.row_of[index];
    at::Tensor logits = blocks::router_logits(x, weights.router);
    if (weights.router_bias.defined()) logits = logits + weights.router_bias;
    const RoutedBatch routed = route_batch(logits, weights.selection_bias, layer, hooks, index, batch.tokens());
    if (recorder_) recorder_->row(row, batch.runs, routed.decision);

    const blocks::Dispatch dispatch = blocks::dispatch_by_expert(routed.ids, layer.experts);
    blocks::Experts all(weights.experts);
    all.fetch = weights.fetch_expert;
    all.count = layer.experts;
    all.all_gate_up = weights.all_gate_up;
    all.all_down = weights.all_down;
    all.weights_of = hooks.weights_of;
    const bool on_input = layer.rule.weight_on_input;
    const at::Tensor narrow = x.to(weights_.compute());
    at::Tensor outputs = blocks::expert_outputs(narrow, dispatch, all, expert_rule_,
                                                on_input ? routed.weights : at::Tensor(), interrupt_);
    if (!hooks.scale.empty()) outputs = scaled(outputs, dispatch, hooks.scale);
    if (recorder_) recorder_->expert_outputs(row, batch.runs, dispatch, outputs);
    at::Tensor sum = blocks::combine(outputs, dispatch, on_input ? at::ones_like(routed.weights) : routed.weights);
    if (layer.shared == 0) return sum;
    if (interrupt_) interrupt_();
    at::Tensor shared = blocks::expert_mlp(narrow, weights.shared, expert_rule_).to(at::kFloat);
    if (weights.shared_expert_gate.defined()) {
      shared = shared * at::sigmoid(at::matmul(x, weights.shared_expert_gate.t()));
    }
    return sum + shared;
  }

  // Each expert's outputs times its factor.
  static at::Tensor scaled(const at::Tensor& outputs, const blocks::Dispatch& dispatch,
                           const std::vector<float>& scale) {
    at::Tensor out = outputs.clone();
    for (std::size_t e = 0; e < scale.size(); ++e) {
      if (scale[e] != 1.0F) out.narrow(0, dispatch.begin[e], dispatch.begin[e + 1] - dispatch.begin[e]).mul_(scale[e]);
    }
    return out;
  }

  const RunRequest& request_;
  const RunPlan& plan_;
  const SequenceGroup& group_;
  const ModelSpec& spec_;
  Weights& weights_;
  RecordSink* recorder_;
  const WorkContext& work_;
  blocks::Interrupt interrupt_;
  std::vector<blocks::AttentionShape> attention_;  // [layers]
  blocks::ExpertRule expert_rule_;
  blocks::RelativeView encoder_view_, decoder_view_;
};

}  // namespace

Expected<void> run_group(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group,
                         const ModelSpec& spec, Weights& weights, RecordSink* recorder, const WorkContext& work) {
  return ForwardRun(request, plan, group, spec, weights, recorder, work).run();
}

Expected<at::Tensor> run_tokens(const RunRequest& request, const RunPlan& plan, std::size_t sequence,
                                std::span<const std::int32_t> ids, SequenceCache& cache, const ModelSpec& spec,
                                Weights& weights, RecordSink& sink, const WorkContext& work) {
  return ForwardRun(request, plan, plan.groups.front(), spec, weights, &sink, work).more(sequence, ids, cache);
}

}  // namespace moescope::torch_engine
