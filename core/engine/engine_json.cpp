// Requests and summaries as JSON, and the names of their enumerations.
#include <cmath>
#include <limits>

#include "core/engine/engine.h"

namespace moescope {
namespace {

using nlohmann::json;

json hook_json(const Hook& hook) {
  return std::visit(
      [](const auto& h) -> json {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, ReplaceRouterHook>) {
          return {{"kind", "replace_router"}, {"layer", h.layer}, {"family", h.family}, {"params", h.params}};
        } else if constexpr (std::is_same_v<T, OverrideLogitsHook>) {
          json bias = json::object();
          for (const auto& [expert, value] : h.bias) bias[std::to_string(expert)] = value;
          return {
              {"kind", "override_logits"}, {"layer", h.layer}, {"bias", bias}, {"mask", h.mask}, {"force", h.force}};
        } else if constexpr (std::is_same_v<T, ExpertHook>) {
          const char* kinds[] = {"ablate", "swap", "scale"};
          return {{"kind", kinds[static_cast<int>(h.kind)]},
                  {"layer", h.layer},
                  {"expert", h.expert},
                  {"other", h.other},
                  {"factor", h.factor}};
        } else if constexpr (std::is_same_v<T, CapacityHook>) {
          return {{"kind", "capacity"}, {"layer", h.layer}, {"factor", h.factor}};
        } else {
          return {{"kind", "skip_layer"}, {"layer", h.layer}};
        }
      },
      hook);
}

Expected<Hook> hook_from_json(const json& j) {
  const std::string kind = j.value("kind", "");
  if (kind == "replace_router") {
    return ReplaceRouterHook{j.value("layer", -1), j.value("family", "softmax_top_k"),
                             j.value("params", json::object())};
  }
  if (kind == "override_logits") {
    OverrideLogitsHook hook;
    hook.layer = j.value("layer", -1);
    const json bias = j.value("bias", json::object());
    for (const auto& [expert, value] : bias.items()) {
      hook.bias[static_cast<std::uint32_t>(std::stoul(expert))] = value.get<double>();
    }
    hook.mask = j.value("mask", hook.mask);
    hook.force = j.value("force", hook.force);
    return hook;
  }
  if (kind == "ablate" || kind == "swap" || kind == "scale") {
    ExpertHook hook;
    hook.kind = kind == "ablate" ? ExpertHook::Kind::ablate
                                 : (kind == "swap" ? ExpertHook::Kind::swap : ExpertHook::Kind::scale);
    hook.layer = j.value("layer", -1);
    hook.expert = j.value("expert", 0U);
    hook.other = j.value("other", 0U);
    hook.factor = j.value("factor", 0.0);
    return hook;
  }
  if (kind == "capacity") return CapacityHook{j.value("layer", -1), j.value("factor", 1.0)};
  if (kind == "skip_layer") return SkipLayerHook{j.value("layer", 0)};
  return fail(ErrorKind::usage, "unknown hook \"" + kind + "\"", "hooks",
              "Use replace_router, override_logits, ablate, swap, scale, capacity or skip_layer");
}

json generate_json(const std::optional<GenerateOptions>& generate) {
  if (!generate) return nullptr;
  return {{"max_tokens", generate->max_tokens},
          {"temperature", generate->temperature},
          {"top_p", generate->top_p},
          {"seed", generate->seed},
          {"stop", generate->stop},
          {"live_trace", generate->live_trace}};
}

json script_json(const std::optional<ScriptOptions>& script) {
  if (!script) return nullptr;
  return {{"inspect", script->inspect}, {"routers", script->routers}, {"experts_per_token", script->experts_per_token}};
}

json sequence_json(const SequenceInput& sequence) {
  json out{{"ids", sequence.ids}};
  if (!sequence.text.empty()) {
    out["text"] = sequence.text;
    out["spans"] = sequence.spans;
  }
  if (!sequence.decoder_ids.empty()) out["decoder_ids"] = sequence.decoder_ids;
  if (!sequence.tags.empty()) out["tags"] = sequence.tags;
  return out;
}

Expected<RunRequest> read_request(const json& j) {
  RunRequest out;
  out.checkpoint = j.at("checkpoint").get<std::string>();
  const json sequences = j.value("sequences", json::array());
  for (const json& s : sequences) {
    SequenceInput sequence;
    sequence.ids = s.at("ids").get<std::vector<std::int32_t>>();
    sequence.text = s.value("text", "");
    sequence.spans = s.value("spans", sequence.spans);
    sequence.tags = s.value("tags", sequence.tags);
    sequence.decoder_ids = s.value("decoder_ids", sequence.decoder_ids);
    out.sequences.push_back(std::move(sequence));
  }
  const std::string type = j.value("compute_type", "float32"), device = j.value("device", "automatic");
  if (type != "float32" && type != "bfloat16") {
    return fail(ErrorKind::usage, "unknown compute type \"" + type + "\"", "compute_type", "Use float32 or bfloat16");
  }
  out.compute_type = type == "float32" ? ComputeType::float32 : ComputeType::bfloat16;
  if (device != "automatic" && device != "cpu" && device != "cuda") {
    return fail(ErrorKind::usage, "unknown device \"" + device + "\"", "device", "Use automatic, cpu or cuda");
  }
  out.device = device == "cpu" ? Device::cpu : (device == "cuda" ? Device::cuda : Device::automatic);
  out.threads = j.value("threads", 0);
  out.memory_limit = j.value("memory_limit", std::uint64_t{0});
  const json record = j.value("record", json::object());
  out.record.gate_weights = record.value("gate_weights", out.record.gate_weights);
  out.record.router_logits = record.value("router_logits", out.record.router_logits);
  out.record.output_logits = record.value("output_logits", out.record.output_logits);
  out.record.token_loss = record.value("token_loss", out.record.token_loss);
  out.record.expert_output_norms = record.value("expert_output_norms", out.record.expert_output_norms);
  out.record.sampled_outputs = record.value("sampled_outputs", out.record.sampled_outputs);
  const json hooks = j.value("hooks", json::array());
  for (const json& h : hooks) {
    auto hook = hook_from_json(h);
    if (!hook) return fail(hook.error());
    out.hooks.push_back(std::move(*hook));
  }
  if (const auto found = j.find("generate"); found != j.end() && found->is_object()) {
    GenerateOptions generate;
    generate.max_tokens = found->value("max_tokens", generate.max_tokens);
    generate.temperature = found->value("temperature", generate.temperature);
    generate.top_p = found->value("top_p", generate.top_p);
    generate.seed = found->value("seed", generate.seed);
    generate.stop = found->value("stop", generate.stop);
    generate.live_trace = found->value("live_trace", generate.live_trace);
    out.generate = std::move(generate);
  }
  if (const auto found = j.find("script"); found != j.end() && found->is_object()) {
    ScriptOptions script;
    script.inspect = found->value("inspect", script.inspect);
    script.routers = found->value("routers", script.routers);
    script.experts_per_token = found->value("experts_per_token", script.experts_per_token);
    out.script = std::move(script);
  }
  out.out = j.value("out", "");
  out.name = j.value("name", "");
  out.source = j.value("source", "");
  return out;
}

}  // namespace

const char* compute_type_name(ComputeType type) {
  return type == ComputeType::float32 ? "float32" : "bfloat16";
}

const char* device_name(Device device) {
  return device == Device::cpu ? "cpu" : (device == Device::cuda ? "cuda" : "automatic");
}

std::uint64_t RecordOptions::bytes_per_token(std::size_t rows, std::size_t k, std::size_t experts,
                                             std::size_t vocabulary) const {
  const std::uint64_t id = experts < 256 ? 1 : 2;
  std::uint64_t bytes = rows * k * id + rows * 4;  // ids, margin
  bytes += 3 * 4 + 2 * 8;                          // token id, sequence, position; text span
  if (gate_weights) bytes += rows * k * 4;
  if (router_logits) bytes += rows * experts * 4;
  if (output_logits) bytes += vocabulary * 4;
  if (token_loss) bytes += 4;
  if (expert_output_norms) bytes += rows * k * 4;
  return bytes;
}

json to_json(const RunRequest& request) {
  json sequences = json::array(), hooks = json::array();
  for (const SequenceInput& sequence : request.sequences) sequences.push_back(sequence_json(sequence));
  for (const Hook& hook : request.hooks) hooks.push_back(hook_json(hook));
  const RecordOptions& record = request.record;
  return {{"checkpoint", request.checkpoint},
          {"sequences", sequences},
          {"compute_type", compute_type_name(request.compute_type)},
          {"device", device_name(request.device)},
          {"threads", request.threads},
          {"memory_limit", request.memory_limit},
          {"record",
           {{"gate_weights", record.gate_weights},
            {"router_logits", record.router_logits},
            {"output_logits", record.output_logits},
            {"token_loss", record.token_loss},
            {"expert_output_norms", record.expert_output_norms},
            {"sampled_outputs", record.sampled_outputs}}},
          {"hooks", hooks},
          {"generate", generate_json(request.generate)},
          {"script", script_json(request.script)},
          {"out", request.out},
          {"name", request.name},
          {"source", request.source}};
}

Expected<RunRequest> run_request_from_json(const json& j) {
  try {
    return read_request(j);
  } catch (const std::exception& e) {
    return fail(ErrorKind::usage, std::string("the run request does not parse: ") + e.what());
  }
}

json to_json(const RunSummary& s) {
  return {{"trace_file", s.trace_file},
          {"tokens", s.tokens},
          {"sequences", s.sequences},
          {"seconds", s.seconds},
          {"mean_loss", std::isfinite(s.mean_loss) ? json(s.mean_loss) : json(nullptr)},
          {"device", s.device},
          {"compute_type", s.compute_type},
          {"peak_bytes", s.peak_bytes},
          {"notes", s.notes},
          {"generated", s.generated}};
}

Expected<RunSummary> run_summary_from_json(const json& j) {
  try {
    RunSummary out;
    out.trace_file = j.at("trace_file").get<std::string>();
    out.tokens = j.at("tokens").get<std::uint64_t>();
    out.sequences = j.at("sequences").get<std::uint64_t>();
    out.seconds = j.at("seconds").get<double>();
    const json& loss = j.at("mean_loss");
    out.mean_loss = loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::quiet_NaN();
    out.device = j.at("device").get<std::string>();
    out.compute_type = j.at("compute_type").get<std::string>();
    out.peak_bytes = j.at("peak_bytes").get<std::uint64_t>();
    out.notes = j.at("notes").get<std::vector<std::string>>();
    out.generated = j.value("generated", out.generated);
    return out;
  } catch (const std::exception& e) {
    return fail(ErrorKind::module, std::string("the run's summary does not parse: ") + e.what());
  }
}

}  // namespace moescope
