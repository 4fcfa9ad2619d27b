#include "views/common/text.h"

#include <QLocale>
#include <algorithm>
#include <vector>

#include "core/analysis/weights/checkpoint_analysis.h"

namespace moescope {

QString count_text(std::uint64_t n) {
  return QLocale(QLocale::English).toString(static_cast<qulonglong>(n));
}

QString byte_text(std::uint64_t n) {
  if (n < 1000) return QStringLiteral("%1 B").arg(n);
  double value = static_cast<double>(n);
  for (const char* unit : {"kB", "MB", "GB", "TB"}) {
    value /= 1000;
    if (value < 999.5) return QStringLiteral("%1 %2").arg(value, 0, 'f', value < 9.95 ? 1 : 0).arg(QLatin1String(unit));
  }
  return QStringLiteral("%1 PB").arg(value / 1000, 0, 'f', 1);
}

QString short_count(std::uint64_t n) {
  if (n < 1000) return QString::number(n);
  if (n < 999'950) return QStringLiteral("%1 k").arg(static_cast<double>(n) / 1e3, 0, 'f', 1);
  return QStringLiteral("%1 M").arg(static_cast<double>(n) / 1e6, 0, 'f', 1);
}

QString trace_shape(const Trace& trace) {
  const auto& rows = trace.rows();
  QString text = QString::fromStdString(trace.info->model_name.empty() ? trace.name : trace.info->model_name);
  if (rows.empty()) return text;
  std::uint32_t experts = 0, k = 0;
  for (const RouterRow& row : rows) experts = std::max(experts, row.experts), k = std::max(k, row.k);
  text += QStringLiteral(" · %1 layers × %2 experts").arg(rows.size()).arg(experts);
  if (k > 0) text += QStringLiteral(", top-%1").arg(k);
  return text;
}

QString row_text(const Trace& trace, std::uint32_t row) {
  if (row >= trace.rows().size()) return QStringLiteral("row %1").arg(row);
  return QStringLiteral("L%1").arg(trace.rows()[row].layer);
}

QString expert_text(const Trace& trace, ExpertRef expert) {
  if (expert.row >= trace.rows().size()) return QStringLiteral("row %1·E%2").arg(expert.row).arg(expert.expert);
  return QString::fromStdString(expert_label(trace.rows()[expert.row].layer, expert.expert));
}

QString visible_token(const std::string& bytes) {
  QString text = QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
  for (QChar& c : text) {
    if (c == QLatin1Char(' '))
      c = QChar(0x00B7);
    else if (c == QLatin1Char('\n'))
      c = QChar(0x21B5);
    else if (c == QLatin1Char('\t'))
      c = QChar(0x2192);
    else if (c.unicode() < 0x20)
      c = QChar(0x2400 + c.unicode());
  }
  return text;
}

QString checkpoint_shape(const Checkpoint& checkpoint) {
  const ModelSpec& spec = checkpoint.spec();
  std::uint32_t experts = 0, k = 0;
  for (const std::uint32_t l : expert_layers(spec)) {
    experts = std::max(experts, spec.layers[l].experts);
    k = std::max(k, spec.layers[l].k);
  }
  QString text = QStringLiteral("%1 · %2 layers").arg(QString::fromStdString(spec.name)).arg(spec.layers.size());
  if (experts > 0) text += QStringLiteral(" × %1 experts, top-%2").arg(experts).arg(k);
  return text;
}

QString expert_text(const Checkpoint& checkpoint, ExpertRef expert) {
  const std::vector<std::uint32_t> layers = expert_layers(checkpoint.spec());
  if (expert.row >= layers.size()) return QStringLiteral("row %1·E%2").arg(expert.row).arg(expert.expert);
  return QString::fromStdString(expert_label(static_cast<int>(layers[expert.row]), expert.expert));
}

}  // namespace moescope
