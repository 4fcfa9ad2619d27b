#include "plugins/torch_engine/trace_output.h"

#include <algorithm>
#include <optional>

#include "core/io/safetensors_writer.h"

namespace moescope::torch_engine {
namespace {

// Byte range of a token in its own sequence's text, if it is known.
std::optional<std::pair<std::int64_t, std::int64_t>> span_of(const SequenceInput& sequence, std::size_t token) {
  if (token >= sequence.spans.size()) return std::nullopt;
  const auto [begin, end] = sequence.spans[token];
  if (begin > end || end > sequence.text.size()) return std::nullopt;
  return std::pair(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
}

// Names of the codes of every tag, in order of appearance.
std::map<std::string, std::vector<std::string>> tag_names(const RunRequest& request, const RunPlan& plan) {
  std::map<std::string, std::vector<std::string>> out;
  for (const PlannedSequence& planned : plan.sequences) {
    for (const auto& [name, value] : request.sequences[planned.input].tags) {
      std::vector<std::string>& values = out[name];
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
  }
  return out;
}

std::string weight_kind(const ModelSpec& spec, const RunPlan& plan) {
  const bool replaced = std::any_of(plan.layers.begin(), plan.layers.end(), [](const auto& l) { return !l.own_rule; });
  const auto moe = std::find_if(spec.layers.begin(), spec.layers.end(),
                                [](const LayerSpec& layer) { return layer.kind == LayerKind::moe; });
  const RouterRule& rule = moe->rule;
  if (rule.score == RouterRule::Score::sparsemixer) return "sparsemixer";
  const std::string score = rule.score == RouterRule::Score::softmax ? "softmax" : "sigmoid";
  return replaced ? "as each row's rule says" : score + (rule.renormalise ? ", renormalised" : ", not renormalised");
}

}  // namespace

Trace trace_head(const RunRequest& request, const RunPlan& plan, const Checkpoint& checkpoint) {
  Trace trace;
  auto info = std::make_shared<TraceInfo>();
  trace.name = request.name.empty() ? checkpoint.spec().name : request.name;
  info->rows = plan.rows;
  info->expert_choice = plan.expert_choice;
  info->weight_kind = weight_kind(checkpoint.spec(), plan);
  info->compute_type = compute_type_name(request.compute_type);
  info->model_name = checkpoint.spec().name;
  info->model_family = checkpoint.spec().family;
  info->config_hash = checkpoint.config_hash();
  info->source_tool = "MoEScope";
  info->source_file = checkpoint.folder().string();
  info->source_notes = request.source;
  if (request.compute_type == ComputeType::bfloat16) {
    info->source_notes += (info->source_notes.empty() ? "" : "; ");
    info->source_notes += "matrix products in bfloat16; residual stream, norms, attention scores and router in float32";
  }
  if (!request.hooks.empty()) {
    info->source_notes += (info->source_notes.empty() ? "" : "; ");
    info->source_notes += "with hooks: " + to_json(request).at("hooks").dump();
  }
  info->notes = plan.notes;
  info->tag_names = tag_names(request, plan);
  if (plan.streams) info->stream_names = stream_names;
  std::vector<std::uint8_t> text;
  for (const PlannedSequence& planned : plan.sequences) {
    const SequenceInput& sequence = request.sequences[planned.input];
    text.insert(text.end(), sequence.text.begin(), sequence.text.end());
    if (const Tokenizer* tokenizer = checkpoint.tokenizer()) {
      for (const std::vector<std::int32_t>& ids : {sequence.ids, planned.decoder_ids}) {
        for (const std::int32_t id : ids) {
          if (!trace.vocabulary.contains(id)) trace.vocabulary[id] = tokenizer->token_bytes(id);
        }
      }
    }
  }
  if (!text.empty()) trace.text = Column<std::uint8_t>::own(std::move(text));
  trace.info = std::move(info);
  return trace;
}

void add_request_columns(const RunRequest& request, const RunPlan& plan, const SequenceGroup& group, const Trace& head,
                         Segment& segment) {
  std::vector<std::int32_t> ids, sequences, positions;
  std::vector<std::uint8_t> phases, streams;
  std::vector<std::int64_t> spans;
  std::map<std::string, std::vector<std::int32_t>> codes;
  std::int64_t text_offset = 0;
  for (std::size_t s = 0; s < group.first_sequence; ++s) {
    text_offset += static_cast<std::int64_t>(request.sequences[plan.sequences[s].input].text.size());
  }
  for (std::size_t s = group.first_sequence; s < group.first_sequence + group.sequences; ++s) {
    const PlannedSequence& planned = plan.sequences[s];
    const SequenceInput& sequence = request.sequences[planned.input];
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    ids.insert(ids.end(), planned.decoder_ids.begin(), planned.decoder_ids.end());
    for (std::size_t t = 0; t < planned.length; ++t) {
      const bool decoder = plan.streams && t >= planned.encoder;
      sequences.push_back(static_cast<std::int32_t>(planned.input));
      positions.push_back(static_cast<std::int32_t>(decoder ? t - planned.encoder : t));
      if (plan.streams) streams.push_back(decoder ? 1 : 0);
      phases.push_back(t + sequence.generated < planned.length ? 0 : 1);  // prefill, decode
      const auto span = span_of(sequence, t);
      spans.push_back(span ? text_offset + span->first : -1);
      spans.push_back(span ? text_offset + span->second : -1);
    }
    text_offset += static_cast<std::int64_t>(sequence.text.size());
    for (const auto& [name, values] : head.info->tag_names) {
      const auto found = sequence.tags.find(name);
      const std::int32_t code =
          found == sequence.tags.end()
              ? -1
              : static_cast<std::int32_t>(std::find(values.begin(), values.end(), found->second) - values.begin());
      codes[name].insert(codes[name].end(), planned.length, code);
    }
  }
  segment.token_ids = Column<std::int32_t>::own(std::move(ids));
  segment.sequence_ids = Column<std::int32_t>::own(std::move(sequences));
  segment.positions = Column<std::int32_t>::own(std::move(positions));
  segment.phases = Column<std::uint8_t>::own(std::move(phases));
  if (plan.streams) segment.streams = Column<std::uint8_t>::own(std::move(streams));
  if (!head.text.empty()) segment.text_spans = Column<std::int64_t>::own(std::move(spans));
  for (auto& [name, column] : codes) {
    segment.tags[name] = TagColumn{head.info->tag_names.at(name), Column<std::int32_t>::own(std::move(column)), {}};
  }
}

Expected<std::string> write_sampled_outputs(const RunRequest& request, const RunPlan& plan,
                                            const OutputSampler& sampler) {
  const std::string suffix = ".routes.safetensors";
  std::string path = request.out;
  if (path.ends_with(suffix)) path.resize(path.size() - suffix.size());
  path += ".outputs.safetensors";
  std::vector<TensorSpec> tensors;
  std::vector<std::vector<OutputSampler::Sample>> rows;
  for (std::size_t r = 0; r < plan.rows.size(); ++r) {
    rows.push_back(sampler.samples_of(r));
    const std::uint64_t count = rows.back().size();
    if (count == 0) continue;
    const std::string name = "row." + std::to_string(r);
    tensors.push_back({name + ".outputs", DType::f32, {count, rows.back().front().output.size()}});
    tensors.push_back({name + ".experts", DType::i32, {count}});
    tensors.push_back({name + ".tokens", DType::i32, {count}});
  }
  auto writer = SafetensorsWriter::create(path, tensors, {{"trace", request.out}});
  if (!writer) return fail(writer.error());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::string name = "row." + std::to_string(r);
    for (const OutputSampler::Sample& sample : rows[r]) {
      const auto expert = static_cast<std::int32_t>(sample.expert), token = static_cast<std::int32_t>(sample.token);
      auto done = writer->write(name + ".outputs", std::as_bytes(std::span(sample.output)));
      if (done) done = writer->write(name + ".experts", std::as_bytes(std::span(&expert, 1)));
      if (done) done = writer->write(name + ".tokens", std::as_bytes(std::span(&token, 1)));
      if (!done) return fail(done.error());
    }
  }
  if (auto done = writer->finish(); !done) return fail(done.error());
  return path;
}

}  // namespace moescope::torch_engine
