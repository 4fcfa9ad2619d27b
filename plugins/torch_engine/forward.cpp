#include "plugins/torch_engine/forward.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"
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
  [[nodiscard]] BatchTokens tokens() const { return {ids, sequence_of, positions}; }
};

class ForwardRun {
 public:
  ForwardRun(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group, const ModelSpec& spec,
             Weights& weights, Recorder* recorder, const WorkContext& work)
      : request_(request),
        plan_(plan),
        group_(group),
        spec_(spec),
        weights_(weights),
        recorder_(recorder),
        work_(work),
        interrupt_([this] {
          if (work_.cancelled()) throw Interrupted{};
        }) {
    attention_.heads = spec.heads;
    attention_.kv_heads = spec.kv_heads;
    attention_.head_dim = spec.head_dim;
    attention_.norm_epsilon = spec.norm_epsilon;
    attention_.clip_qkv = spec.clip_qkv;
  }

  Expected<void> run() {
    std::vector<Batch> batches;
    for (const std::vector<std::size_t>& members : group_.batches) {
      auto batch = begin_batch(members);
      if (!batch) return fail(batch.error());
      batches.push_back(std::move(*batch));
    }
    for (std::uint32_t l = 0; l < spec_.layers.size(); ++l) {
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

 private:
  Expected<Batch> begin_batch(const std::vector<std::size_t>& members) {
    Batch out;
    out.sequences = members.size();
    for (const std::size_t s : members) {
      const PlannedSequence& sequence = plan_.sequences[s];
      const std::vector<std::int32_t>& ids = request_.sequences[sequence.input].ids;
      out.runs.emplace_back(sequence.first_token - group_.first_token, sequence.length);
      out.packed.lengths.push_back(static_cast<std::int64_t>(sequence.length));
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      for (std::size_t t = 0; t < ids.size(); ++t) {
        out.sequence_of.push_back(static_cast<std::int32_t>(sequence.input));
        out.positions.push_back(static_cast<std::int32_t>(t));
      }
    }
    auto embedded = weights_.embed(at::tensor(out.ids).to(at::kLong));
    if (!embedded) return fail(embedded.error());
    out.hidden = std::move(*embedded);
    out.tables =
        blocks::rope_tables(blocks::packed_positions(out.packed, weights_.device()), spec_.head_dim, spec_.rope_theta);
    return out;
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

  void run_layer(std::uint32_t index, const blocks::LayerWeights& weights, Batch& batch) {
    const LayerHooks& hooks = plan_.layers[index];
    const double epsilon = spec_.norm_epsilon;
    const at::Tensor normed = blocks::rms_norm(batch.hidden, weights.input_norm, epsilon).to(weights_.compute());
    const at::Tensor attended = batch.hidden + blocks::causal_attention(normed, weights.attention, attention_,
                                                                        batch.tables, batch.packed, interrupt_);
    batch.hidden = attended;
    if (hooks.skip) {
      if (recorder_) recorder_->skipped_row(index, batch.runs);
      return;
    }
    const at::Tensor x = blocks::rms_norm(attended, weights.post_norm, epsilon);
    const at::Tensor logits = blocks::router_logits(x, weights.router);
    const RoutedBatch routed = route_batch(logits, spec_.layers[index], hooks, index, batch.tokens());
    if (recorder_) recorder_->row(index, batch.runs, routed.decision);

    const blocks::Dispatch dispatch = blocks::dispatch_by_expert(routed.ids, spec_.layers[index].experts);
    std::vector<blocks::ExpertWeights> swapped;
    for (const std::uint32_t source : hooks.weights_of) swapped.push_back(weights.experts[source]);
    at::Tensor outputs = blocks::expert_outputs(x.to(weights_.compute()), dispatch,
                                                swapped.empty() ? weights.experts : swapped, interrupt_);
    if (!hooks.scale.empty()) outputs = scaled(outputs, dispatch, hooks.scale);
    if (recorder_) recorder_->expert_outputs(index, batch.runs, dispatch, outputs);
    batch.hidden = attended + blocks::combine(outputs, dispatch, routed.weights);
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
  Recorder* recorder_;
  const WorkContext& work_;
  blocks::Interrupt interrupt_;
  blocks::AttentionShape attention_;
};

}  // namespace

Expected<void> run_group(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group,
                         const ModelSpec& spec, Weights& weights, Recorder* recorder, const WorkContext& work) {
  return ForwardRun(request, plan, group, spec, weights, recorder, work).run();
}

}  // namespace moescope::torch_engine
