#include "views/shell/inspector_fields.h"

#include <QObject>

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

}  // namespace moescope
