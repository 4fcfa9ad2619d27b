#include "plugins/torch_engine/run_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace moescope::torch_engine {
namespace {

// Most that is held for one group, in bytes.
constexpr std::size_t group_bytes = 192U << 20U;

bool narrow(const ModelSpec& spec) {
  return spec.hidden <= 512;
}

std::string text(std::size_t n) {
  return std::to_string(n);
}

// Tokens per batch: enough for full rates of the experts' products, few enough that one product stays far below the
// time in which a cancel must be seen. Narrow models get small batches, which stay in a core's cache and of which each
// thread runs its own.
std::size_t batch_tokens(const ModelSpec& spec) {
  const double width = std::max(spec.hidden, spec.heads * spec.query_dim());
  const double flop = 2.0 * spec.hidden * width;
  return static_cast<std::size_t>(std::clamp(1e10 / flop, 256.0, narrow(spec) ? 1024.0 : 4096.0));
}

Expected<void> check_ids(const std::vector<std::int32_t>& ids, const ModelSpec& spec, const std::string& what) {
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] >= 0 && static_cast<std::uint32_t>(ids[t]) < spec.vocabulary) continue;
    return fail(ErrorKind::input,
                "token id " + std::to_string(ids[t]) + " is outside the model's vocabulary of " + text(spec.vocabulary),
                what + " " + text(t), "Use the tokenizer that belongs to this model");
  }
  return {};
}

// What the decoder reads: the ids that were given, else its start token alone.
Expected<void> plan_decoder(const SequenceInput& sequence, const ModelSpec& spec, const std::string& where,
                            PlannedSequence& planned) {
  if (spec.encoder_layers == 0) {
    if (sequence.decoder_ids.empty()) return {};
    return fail(ErrorKind::usage, "decoder ids were given, but this model has no encoder", where,
                "Give them as the sequence itself");
  }
  if (auto ok = check_ids(sequence.decoder_ids, spec, where + ", decoder token"); !ok) return ok;
  planned.decoder_ids = sequence.decoder_ids;
  if (planned.decoder_ids.empty()) planned.decoder_ids.push_back(spec.start_token);
  planned.encoder = sequence.ids.size();
  planned.length += planned.decoder_ids.size();
  return {};
}

Expected<void> plan_sequences(const RunRequest& request, const ModelSpec& spec, RunPlan& plan) {
  std::size_t too_long = 0;
  for (std::size_t s = 0; s < request.sequences.size(); ++s) {
    const SequenceInput& sequence = request.sequences[s];
    if (sequence.ids.empty()) {
      plan.notes.push_back("sequence " + text(s) + " is empty and was left out");
      continue;
    }
    if (auto ok = check_ids(sequence.ids, spec, "sequence " + text(s) + ", token"); !ok) return ok;
    if (!sequence.spans.empty() && sequence.spans.size() != sequence.ids.size()) {
      return fail(ErrorKind::usage,
                  text(sequence.spans.size()) + " byte ranges were given for " + text(sequence.ids.size()) + " tokens",
                  "sequence " + text(s), "Give one range per token or none");
    }
    too_long += spec.max_positions > 0 && sequence.ids.size() > spec.max_positions ? 1U : 0U;
    PlannedSequence planned{s, plan.tokens, sequence.ids.size()};
    if (auto ok = plan_decoder(sequence, spec, "sequence " + text(s), planned); !ok) return ok;
    plan.tokens += planned.length;
    plan.sequences.push_back(std::move(planned));
  }
  if (plan.tokens == 0) return fail(ErrorKind::usage, "there are no tokens to run", {}, "Give at least one token");
  if (too_long > 0) {
    plan.notes.push_back(text(too_long) + " sequences are longer than the " + text(spec.max_positions) +
                         " positions that the model was made for");
  }
  return {};
}

void plan_batches(std::size_t limit, const RunPlan& plan, SequenceGroup& group) {
  group.batches.clear();
  std::vector<std::size_t> order(group.sequences);
  std::iota(order.begin(), order.end(), group.first_sequence);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return plan.sequences[a].length < plan.sequences[b].length; });
  std::size_t filled = 0;
  for (const std::size_t s : order) {
    if (group.batches.empty() || filled + plan.sequences[s].length > limit) {
      group.batches.emplace_back();
      filled = 0;
    }
    group.batches.back().push_back(s);
    filled += plan.sequences[s].length;
  }
}

void plan_groups(const RunRequest& request, const ModelSpec& spec, RunPlan& plan) {
  std::uint32_t experts = 0;
  for (const RouterRow& row : plan.rows) experts = std::max(experts, row.experts);
  const std::size_t per_token = std::size_t{8} * spec.hidden +
                                request.record.bytes_per_token(plan.rows.size(), plan.slots, experts, spec.vocabulary);
  const std::size_t most = std::max<std::size_t>(1, group_bytes / per_token);
  for (std::size_t s = 0; s < plan.sequences.size(); ++s) {
    const PlannedSequence& sequence = plan.sequences[s];
    if (plan.groups.empty() || plan.groups.back().tokens + sequence.length > most) {
      plan.groups.push_back({s, 0, sequence.first_token, 0, {}});
    }
    ++plan.groups.back().sequences;
    plan.groups.back().tokens += sequence.length;
  }
  for (SequenceGroup& group : plan.groups) plan_batches(batch_tokens(spec), plan, group);
}

// Applies one hook to one layer. Errors are texts; the caller adds which hook it was.
struct HookApplier {
  const LayerSpec& layer;
  LayerHooks& hooks;

  [[nodiscard]] Expected<void> check(std::uint32_t expert) const {
    if (expert < layer.experts) return {};
    return fail(ErrorKind::usage, "there is no expert " + text(expert), {}, "This layer has " + text(layer.experts));
  }

  [[nodiscard]] Expected<void> operator()(const ReplaceRouterHook& hook) const {
    auto router = make_router(hook.family, hook.params, RouterModel{layer.experts, layer.k, layer.rule});
    if (!router) return fail(router.error());
    hooks.router = std::move(*router);
    hooks.own_rule = false;
    return {};
  }

  [[nodiscard]] Expected<void> operator()(const OverrideLogitsHook& hook) const {
    if (hooks.bias.empty()) hooks.bias.assign(layer.experts, 0.0F);
    for (const auto& [expert, value] : hook.bias) {
      if (auto ok = check(expert); !ok) return ok;
      hooks.bias[expert] += static_cast<float>(value);
    }
    for (const std::uint32_t expert : hook.mask) {
      if (auto ok = check(expert); !ok) return ok;
      hooks.bias[expert] = -std::numeric_limits<float>::infinity();
    }
    for (const std::uint32_t expert : hook.force) {
      if (auto ok = check(expert); !ok) return ok;
      if (std::find(hooks.force.begin(), hooks.force.end(), expert) == hooks.force.end()) hooks.force.push_back(expert);
    }
    if (!hooks.router) {
      auto router = make_router("model", nlohmann::json::object(), RouterModel{layer.experts, layer.k, layer.rule});
      if (!router) return fail(router.error());
      hooks.router = std::move(*router);
    }
    return {};
  }

  [[nodiscard]] Expected<void> operator()(const ExpertHook& hook) const {
    if (auto ok = check(hook.expert); !ok) return ok;
    if (hook.kind == ExpertHook::Kind::swap) {
      if (auto ok = check(hook.other); !ok) return ok;
      if (hooks.weights_of.empty()) {
        hooks.weights_of.resize(layer.experts);
        std::iota(hooks.weights_of.begin(), hooks.weights_of.end(), 0U);
      }
      std::swap(hooks.weights_of[hook.expert], hooks.weights_of[hook.other]);
      return {};
    }
    if (hooks.scale.empty()) hooks.scale.assign(layer.experts, 1.0F);
    hooks.scale[hook.expert] *= hook.kind == ExpertHook::Kind::ablate ? 0.0F : static_cast<float>(hook.factor);
    return {};
  }

  [[nodiscard]] Expected<void> operator()(const CapacityHook& hook) const {
    if (!(hook.factor >= 0.0) || hook.factor > 1e6) {
      return fail(ErrorKind::usage, "a capacity factor must be a number from 0 to 1e6");
    }
    hooks.capacity = hook.factor;
    return {};
  }

  [[nodiscard]] Expected<void> operator()(const SkipLayerHook&) const {
    hooks.skip = true;
    return {};
  }
};

Expected<void> plan_hooks(const RunRequest& request, const ModelSpec& spec, RunPlan& plan) {
  plan.layers.resize(spec.layers.size());
  for (std::size_t h = 0; h < request.hooks.size(); ++h) {
    const int asked = std::visit([](const auto& hook) { return hook.layer; }, request.hooks[h]);
    if (asked < -1 || asked >= static_cast<int>(spec.layers.size())) {
      return fail(ErrorKind::usage, "there is no layer " + std::to_string(asked), "hook " + text(h),
                  "The model has layers 0 to " + text(spec.layers.size() - 1));
    }
    for (std::size_t l = 0; l < spec.layers.size(); ++l) {
      if (asked != -1 && asked != static_cast<int>(l)) continue;
      if (spec.layers[l].kind == LayerKind::dense) {
        if (asked == -1) continue;
        return fail(ErrorKind::usage, "layer " + text(l) + " has no experts", "hook " + text(h),
                    "Name a layer with experts, or -1 for all of them");
      }
      if (auto ok = std::visit(HookApplier{spec.layers[l], plan.layers[l]}, request.hooks[h]); !ok) {
        Error error = ok.error();
        error.where = "hook " + text(h) + ", layer " + text(l) + (error.where.empty() ? "" : ", " + error.where);
        return fail(std::move(error));
      }
    }
  }
  return {};
}

void plan_rows(const ModelSpec& spec, RunPlan& plan) {
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    const LayerSpec& layer = spec.layers[l];
    const LayerHooks& hooks = plan.layers[l];
    plan.row_of.push_back(plan.rows.size());
    if (layer.kind == LayerKind::dense) continue;
    RouterRow row;
    row.layer = static_cast<int>(spec.number_in_stack(l));
    if (spec.is_encoder(l)) row.block = "encoder";
    if (plan.streams) row.stream = stream_names[spec.is_encoder(l) ? 0 : 1];
    row.experts = layer.experts;
    row.k = layer.k;
    row.shared = layer.shared;
    row.rule = router_rule_words(layer.rule, layer.k);
    std::size_t slots = layer.k;
    if (hooks.router) {
      slots = hooks.router->slots();
      row.null_experts = hooks.router->null_experts();
      row.experts += row.null_experts;
      row.rule = hooks.router->words();
      row.k = static_cast<std::uint32_t>(slots);
      plan.expert_choice = plan.expert_choice || hooks.router->by_expert();
    }
    if (!hooks.bias.empty()) row.rule += ", logits overridden";
    plan.used_varies =
        plan.used_varies || plan.streams || hooks.router || hooks.skip || (!plan.rows.empty() && slots != plan.slots);
    plan.has_capacity = plan.has_capacity || hooks.capacity || (hooks.own_rule && layer.rule.expert_capacity > 0);
    plan.has_margin = plan.has_margin || (!hooks.router && !hooks.skip && layer.k < layer.experts);
    plan.slots = std::max(plan.slots, slots);
    plan.rows.push_back(std::move(row));
  }
  for (std::size_t& row : plan.row_of) {
    const std::size_t layer = static_cast<std::size_t>(&row - plan.row_of.data());
    if (spec.layers[layer].kind == LayerKind::dense) row = plan.rows.size();
  }
}

}  // namespace

bool halve_batches(const RunPlan& plan, SequenceGroup& group) {
  std::size_t most = 0, longest = 0;
  for (const std::vector<std::size_t>& batch : group.batches) {
    std::size_t tokens = 0;
    for (const std::size_t s : batch) tokens += plan.sequences[s].length;
    most = std::max(most, tokens);
    longest = std::max(longest, batch.size());
  }
  if (longest <= 1) return false;
  plan_batches(most / 2, plan, group);
  return true;
}

Expected<RunPlan> plan_run(const RunRequest& request, const ModelSpec& spec) {
  RunPlan plan;
  plan.streams = spec.encoder_layers > 0;
  if (request.generate && plan.streams) {
    return fail(ErrorKind::usage,
                "models with an encoder are run on what their decoder shall read; they do not generate", spec.name,
                "Give the decoder's ids or text with the input");
  }
  if (spec.layers.empty()) return fail(ErrorKind::input, "the model has no layers", spec.name);
  if (auto ok = plan_sequences(request, spec, plan); !ok) return fail(ok.error());
  if (auto ok = plan_hooks(request, spec, plan); !ok) return fail(ok.error());
  plan.batch_per_thread = narrow(spec);
  plan_rows(spec, plan);
  if (plan.rows.empty()) {
    return fail(ErrorKind::input, "no layer of this model has experts", spec.name, "There is no routing to record");
  }
  plan_groups(request, spec, plan);
  return plan;
}

}  // namespace moescope::torch_engine
