#include "plugins/torch_engine/generate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/engine/sampling.h"
#include "plugins/torch_engine/forward.h"

namespace moescope::torch_engine {
namespace {

// −ln of the probability of `id`.
float loss_of(const at::Tensor& logits, std::int32_t id) {
  return (at::logsumexp(logits, {0}) - logits[id]).item<float>();
}

// Adds the bytes of new tokens to a sequence's text.
void append_text(const Checkpoint& checkpoint, std::span<const std::int32_t> ids, SequenceInput& sequence) {
  const Tokenizer* tokenizer = checkpoint.tokenizer();
  if (!tokenizer || sequence.text.empty() || sequence.spans.size() + ids.size() != sequence.ids.size()) {
    // A range for some tokens only would not be one per token.
    if (sequence.spans.size() != sequence.ids.size()) sequence.spans.clear();
    return;
  }
  for (const std::int32_t id : ids) {
    const std::uint64_t begin = sequence.text.size();
    sequence.text += tokenizer->token_bytes(id);
    sequence.spans.emplace_back(begin, sequence.text.size());
  }
}

}  // namespace

Expected<Generation> generate_tokens(const RunRequest& request, const RunPlan& plan, const Checkpoint& checkpoint,
                                     Weights& weights, const GenerationSoFar& so_far, const WorkContext& work) {
  const GenerateOptions& options = *request.generate;
  const ModelSpec& spec = checkpoint.spec();
  Generation out;
  out.extended = request;
  out.extended.generate.reset();
  const std::size_t all = plan.sequences.size() * options.max_tokens;
  for (std::size_t s = 0; s < plan.sequences.size(); ++s) {
    SequenceInput& sequence = out.extended.sequences[plan.sequences[s].input];
    DecisionLog& log = out.logs.emplace_back(request.record);
    std::vector<std::int32_t>& made = out.tokens.emplace_back();
    TokenSampler sampler(options, s);
    SequenceCache cache;
    auto logits = run_tokens(request, plan, s, sequence.ids, cache, spec, weights, log, work);
    if (!logits) return fail(logits.error());
    const std::size_t prompt = sequence.ids.size();
    // The sequence takes up its generated tokens from the `known`-th on.
    std::size_t known = 0;
    const auto take_up = [&] {
      const std::span<const std::int32_t> fresh = std::span<const std::int32_t>(made).subspan(known);
      sequence.ids.insert(sequence.ids.end(), fresh.begin(), fresh.end());
      sequence.generated = known = made.size();
      append_text(checkpoint, fresh, sequence);
    };
    if (so_far) so_far(out.extended, out.logs);
    while (made.size() < options.max_tokens) {
      const std::size_t room = spec.max_positions == 0 ? options.max_tokens : spec.max_positions;
      if (prompt + made.size() >= std::max<std::size_t>(room, prompt + 1)) break;
      work.report(
          "Generating token " + std::to_string(made.size() + 1) + " of at most " + std::to_string(options.max_tokens),
          0.98 * static_cast<double>(s * options.max_tokens + made.size()) / static_cast<double>(all));
      const std::int32_t id = sampler.next({logits->data_ptr<float>(), static_cast<std::size_t>(logits->numel())});
      const float loss = loss_of(*logits, id);
      if (log.wants_head()) {
        log.tokens({{prompt + made.size() - 1, 1}}, 0, std::span(&loss, 1), logits->unsqueeze(0));
      }
      made.push_back(id);
      auto next = run_tokens(request, plan, s, std::span(&id, 1), cache, spec, weights, log, work);
      if (!next) return fail(next.error());
      logits = std::move(next);
      take_up();
      if (so_far) so_far(out.extended, out.logs);
      if (std::find(options.stop.begin(), options.stop.end(), id) != options.stop.end()) break;
    }
    if (log.wants_head()) {
      const float unknown = std::numeric_limits<float>::quiet_NaN();
      log.tokens({{prompt + made.size() - 1, 1}}, 0, std::span(&unknown, 1), logits->unsqueeze(0));
    }
  }
  return out;
}

}  // namespace moescope::torch_engine
