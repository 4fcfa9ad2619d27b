#include "plugins/torch_engine/train/route_trace.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/trace/trace_hash.h"

namespace moescope::train {
namespace {

// The bytes of a tensor in its own type, as a column's memory.
std::vector<std::byte> bytes_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  const auto* begin = static_cast<const std::byte*>(whole.data_ptr());
  return {begin, begin + whole.nbytes()};
}

FloatColumn float_column(const at::Tensor& tensor, bool half) {
  auto bytes = std::make_shared<const std::vector<std::byte>>(bytes_of(tensor.to(half ? at::kHalf : at::kFloat)));
  return {half ? FloatColumn::Type::f16 : FloatColumn::Type::f32, std::span(*bytes), bytes};
}

// Everything per token that does not come from the model.
struct TextColumns {
  std::vector<std::uint8_t> text;
  std::vector<std::int32_t> ids, sequences, positions, domains;
  std::vector<std::int64_t> spans;
  std::vector<std::string> names;

  void add(const Document& document, const Encoding& encoded, std::size_t length, std::int32_t sequence) {
    std::int32_t code = -1;
    if (!document.domain.empty()) {
      const auto found = std::find(names.begin(), names.end(), document.domain);
      code = static_cast<std::int32_t>(found - names.begin());
      if (found == names.end()) names.push_back(document.domain);
    }
    const auto offset = static_cast<std::int64_t>(text.size());
    text.insert(text.end(), document.text.begin(), document.text.end());
    for (std::size_t t = 0; t < length; ++t) {
      ids.push_back(encoded.ids[t]);
      sequences.push_back(sequence);
      positions.push_back(static_cast<std::int32_t>(t));
      domains.push_back(code);
      spans.push_back(offset + static_cast<std::int64_t>(encoded.bytes[t].first));
      spans.push_back(offset + static_cast<std::int64_t>(encoded.bytes[t].second));
    }
  }
};

std::shared_ptr<const TraceInfo> trace_info(const LoadedModel& model, const RouteTraceOptions& options,
                                            const std::vector<std::string>& domains) {
  const ModelShape& s = model.shape;
  auto info = std::make_shared<TraceInfo>();
  const RouterRule rule = s.layer_shapes().front().rule;
  for (int layer = 0; layer < s.layers; ++layer) {
    RouterRow row;
    row.layer = layer;
    row.experts = static_cast<std::uint32_t>(s.experts);
    row.k = static_cast<std::uint32_t>(s.k);
    row.rule = router_rule_words(rule, row.k);
    info->rows.push_back(std::move(row));
  }
  info->weight_kind = s.norm_topk_prob ? "softmax, renormalised" : "softmax, not renormalised";
  info->compute_type = "float32";
  info->model_name = "MoEScope sample";
  info->model_family = "olmoe";
  info->config_hash = model.config_hash;
  info->source_tool = "moescope-train";
  info->source_notes = options.notes;
  info->tag_names["domain"] = domains;
  return info;
}

}  // namespace

Expected<Trace> record_routes(const LoadedModel& model, const std::vector<Document>& documents,
                              const RouteTraceOptions& options) {
  const at::NoGradGuard no_gradients;
  TextColumns columns;
  const auto rows = static_cast<std::size_t>(model.shape.layers);
  std::vector<std::vector<at::Tensor>> ids(rows), weights(rows);
  std::vector<at::Tensor> losses;
  std::int32_t sequence = 0;
  for (const Document& document : documents) {
    const auto encoded = model.tokenizer->encode(document.text, false);
    if (!encoded) return Unexpected(encoded.error());
    std::vector<std::int64_t> tokens(encoded->ids.begin(), encoded->ids.end());
    tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(model.shape.max_positions)));
    if (tokens.empty()) continue;
    columns.add(document, *encoded, tokens.size(), sequence++);
    const auto length = static_cast<std::int64_t>(tokens.size());
    const at::Tensor input = at::from_blob(tokens.data(), {1, length}, at::kLong);
    const blocks::ModelOutput out = forward(model.weights, model.shape, input);
    for (std::size_t r = 0; r < rows; ++r) {
      ids[r].push_back(out.routing[r].ids.to(at::kByte));
      weights[r].push_back(out.routing[r].weights);
    }
    at::Tensor loss = at::full({length}, std::nan(""), at::kFloat);
    if (length > 1) {
      loss.slice(0, 0, length - 1)
          .copy_(at::cross_entropy_loss(out.logits.slice(0, 0, length - 1), input.view({-1}).slice(0, 1), {},
                                        at::Reduction::None));
    }
    losses.push_back(loss);
  }
  if (losses.empty()) return fail(ErrorKind::input, "there is no text to record", "held-out text", "Give some text.");

  Segment segment;
  segment.rows = rows;
  segment.tokens = columns.ids.size();
  segment.slots = static_cast<std::size_t>(model.shape.k);
  std::vector<std::uint8_t> all_ids;
  std::vector<at::Tensor> all_weights;
  for (std::size_t r = 0; r < rows; ++r) {
    const at::Tensor row = at::cat(ids[r], 0).contiguous();
    all_ids.insert(all_ids.end(), row.data_ptr<std::uint8_t>(), row.data_ptr<std::uint8_t>() + row.numel());
    all_weights.push_back(at::cat(weights[r], 0));
  }
  segment.ids8 = Column<std::uint8_t>::own(std::move(all_ids));
  segment.gate_weights = float_column(at::cat(all_weights, 0), options.compact);
  if (!options.compact) segment.token_values["loss"] = float_column(at::cat(losses, 0), false);
  Trace trace;
  trace.name = options.name;
  trace.info = trace_info(model, options, columns.names);
  trace.text = Column<std::uint8_t>::own(std::move(columns.text));
  for (const std::int32_t id : columns.ids) {
    if (!trace.vocabulary.contains(id)) trace.vocabulary[id] = model.tokenizer->token_bytes(id);
  }
  segment.token_ids = Column<std::int32_t>::own(std::move(columns.ids));
  segment.sequence_ids = Column<std::int32_t>::own(std::move(columns.sequences));
  segment.positions = Column<std::int32_t>::own(std::move(columns.positions));
  segment.text_spans = Column<std::int64_t>::own(std::move(columns.spans));
  segment.tags["domain"] = TagColumn{columns.names, Column<std::int32_t>::own(std::move(columns.domains)), {}};
  trace.segments.push_back(std::make_shared<const Segment>(std::move(segment)));
  trace.content_hash = hash_trace(trace);
  return trace;
}

}  // namespace moescope::train
