#include "views/shell/inspector_fields.h"

#include <QObject>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "views/common/text.h"

namespace moescope {

InspectorFields trace_fields(const Trace& trace) {
  const TraceInfo& info = *trace.info;
  const auto known = [](bool yes) { return yes ? QObject::tr("recorded") : QObject::tr("not recorded"); };
  InspectorFields fields = {
      {QObject::tr("Trace"), QString::fromStdString(trace.name)},
      {QObject::tr("Model"), QString::fromStdString(info.model_name.empty() ? "not known" : info.model_name)},
      {QObject::tr("Layers"), trace_shape(trace).section(QStringLiteral(" · "), 1)},
      {QObject::tr("Tokens"), count_text(trace.token_count())},
      {QObject::tr("Compute"), QString::fromStdString(info.compute_type.empty() ? "not known" : info.compute_type)},
      {QObject::tr("Weights"), QString::fromStdString(info.weight_kind.empty() ? "not known" : info.weight_kind)},
      {QObject::tr("Rank order"), info.rank_order ? QObject::tr("known") : QObject::tr("not known")},
      {QObject::tr("Expert ids"), info.physical_ids ? QObject::tr("physical") : QObject::tr("logical")},
      {QObject::tr("Logits"), known(trace.has_router_logits())},
      {QObject::tr("Loss"), known(trace.has_token_value("loss"))}};
  if (info.approximate) fields.emplace_back(QObject::tr("Approximate"), QString::fromStdString(*info.approximate));
  for (const std::string& note : info.notes) fields.emplace_back(QObject::tr("Note"), QString::fromStdString(note));
  return fields;
}

InspectorFields token_fields(const Trace& trace, std::uint64_t token) {
  const Trace::Place place = trace.locate(token);
  InspectorFields fields;
  if (place.segment) {
    const Segment& segment = *place.segment;
    if (!segment.sequence_ids.empty())
      fields.emplace_back(QObject::tr("Sequence"), QString::number(segment.sequence_ids[place.token]));
    if (!segment.positions.empty())
      fields.emplace_back(QObject::tr("Position"), QString::number(segment.positions[place.token]));
    if (!segment.token_ids.empty())
      fields.emplace_back(QObject::tr("Id"), QString::number(segment.token_ids[place.token]));
    for (const auto& [name, tag] : segment.tags) {
      if (tag.codes.empty() || tag.codes[place.token] < 0) continue;
      const auto code = static_cast<std::size_t>(tag.codes[place.token]);
      if (code < tag.names.size())
        fields.emplace_back(QString::fromStdString(name), QString::fromStdString(tag.names[code]));
    }
    if (const auto loss = segment.token_values.find("loss"); loss != segment.token_values.end())
      fields.emplace_back(QObject::tr("Loss"),
                          QString::number(loss->second.at(place.token), 'f', 3) + QObject::tr(" nats"));
    for (std::uint32_t row = 0; row < segment.rows; ++row) {
      QString experts;
      for (std::size_t slot = 0; slot < segment.filled(row, place.token); ++slot) {
        experts += QStringLiteral("E%1").arg(segment.id(row, place.token, slot), 2, 10, QLatin1Char('0'));
        if (!segment.gate_weights.empty())
          experts += QStringLiteral(" %1").arg(QString::number(
              segment.gate_weights.at((row * segment.tokens + place.token) * segment.slots + slot), 'f', 2));
        experts += QStringLiteral("  ");
      }
      fields.emplace_back(row_text(trace, row), experts.isEmpty() ? QObject::tr("not recorded") : experts.trimmed());
    }
  }
  return fields;
}

InspectorFields checkpoint_fields(const Checkpoint& checkpoint) {
  const ModelSpec& spec = checkpoint.spec();
  const std::vector<std::uint32_t> layers = expert_layers(spec);
  InspectorFields fields = {{QObject::tr("Model"), QString::fromStdString(spec.name)},
                            {QObject::tr("Family"), QString::fromStdString(spec.family)},
                            {QObject::tr("Layers"), checkpoint_shape(checkpoint).section(QStringLiteral(" · "), -1)},
                            {QObject::tr("Parameters"),
                             QObject::tr("%1, %2 per token")
                                 .arg(short_count(spec.parameters_total()), short_count(spec.parameters_active()))},
                            {QObject::tr("Files"), byte_text(checkpoint.total_bytes())}};
  if (!layers.empty())
    fields.emplace_back(QObject::tr("Router"), QString::fromStdString(router_rule_words(
                                                   spec.layers[layers.front()].rule, spec.layers[layers.front()].k)));
  return fields;
}

InspectorFields expert_fields(const Checkpoint& checkpoint, ExpertRef expert) {
  const ModelSpec& spec = checkpoint.spec();
  const std::vector<std::uint32_t> layers = expert_layers(spec);
  if (expert.row >= layers.size()) return {};
  const LayerSpec& layer = spec.layers[layers[expert.row]];
  const std::uint64_t parameters = std::uint64_t{3} * spec.hidden * layer.intermediate;
  return {{QObject::tr("Layer"),
           QObject::tr("%1, %2 experts, %3 per token").arg(layers[expert.row]).arg(layer.experts).arg(layer.k)},
          {QObject::tr("Width"), QObject::tr("%1 of hidden %2").arg(layer.intermediate).arg(spec.hidden)},
          {QObject::tr("Parameters"), count_text(parameters)},
          {QObject::tr("Routing"), QObject::tr("not known: run a prompt or open a trace")}};
}

}  // namespace moescope
