#include "views/tokens/token_legend.h"

#include <QObject>
#include <algorithm>

#include "views/common/text.h"

namespace moescope {
namespace {

void domain_legend(LegendPanel& panel, ViewContext& context, const Trace& trace) {
  std::vector<LegendEntry> entries;
  if (const auto found = trace.info->tag_names.find("domain"); found != trace.info->tag_names.end()) {
    int category = 0;
    for (const std::string& name : found->second) {
      const std::string text = "domain == \"" + name + "\"";
      entries.push_back({Paint::of_category(category++), QString::fromStdString(name), {}, {}, false, [&context, text] {
                           context.run("filter.set", {{"text", text}});
                         }});
    }
  }
  const bool none = entries.empty();
  panel.set_legend(none ? QObject::tr("The trace has no tag “domain”") : QObject::tr("Domain"),
                   none ? QString() : QObject::tr("click to filter"), std::move(entries));
}

}  // namespace

std::vector<std::size_t> experts_by_use(const ResultPtr& load, std::uint32_t row) {
  const Matrix* count = load ? load->matrix("count") : nullptr;
  if (!count || row >= count->rows()) return {};
  std::vector<std::size_t> order;
  for (std::size_t e = 0; e < count->columns(); ++e)
    if (count->at(row, e) > 0) order.push_back(e);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return count->at(row, a) > count->at(row, b); });
  return order;
}

std::vector<int> expert_categories(const std::vector<std::size_t>& order, std::size_t experts) {
  std::vector<int> categories(experts, other_category);
  for (std::size_t i = 0; i < std::min(coloured_experts, order.size()); ++i)
    if (order[i] < experts) categories[order[i]] = static_cast<int>(i);
  return categories;
}

void fill_legend(LegendPanel& panel, ViewContext& context, const Trace& trace, const TokenColoring& coloring,
                 const ResultPtr& load, const Selection& selection) {
  const QString where = QObject::tr("layer %1, rank %2").arg(trace.rows()[coloring.row].layer).arg(coloring.rank);
  if (coloring.by == TokenColoring::By::domain) return domain_legend(panel, context, trace);
  if (coloring.by == TokenColoring::By::weight)
    return panel.set_scale(QObject::tr("Gate weight, %1").arg(where), QStringLiteral("0"), QStringLiteral("1"));
  if (coloring.by == TokenColoring::By::loss)
    return panel.set_scale(
        trace.has_token_value("loss") ? QObject::tr("Loss of the token, nats") : QObject::tr("The trace has no losses"),
        QStringLiteral("0"), QObject::tr("%1 and more").arg(coloring.loss_high));
  const std::vector<std::size_t> order = experts_by_use(load, coloring.row);
  const Matrix* count = load ? load->matrix("count") : nullptr;
  std::vector<LegendEntry> entries;
  double total = 0, rest = 0;
  for (const std::size_t e : order) total += count->at(coloring.row, e);
  const auto percent = [&](double n) {
    return total > 0 ? QStringLiteral("%1 %").arg(100 * n / total, 0, 'f', 1) : QString();
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double n = count->at(coloring.row, order[i]);
    if (i >= coloured_experts) {
      rest += n;
      continue;
    }
    const ExpertRef expert{coloring.row, static_cast<std::uint32_t>(order[i])};
    const bool chosen =
        std::find(selection.experts.begin(), selection.experts.end(), expert) != selection.experts.end();
    entries.push_back({Paint::of_category(static_cast<int>(i)), expert_text(trace, expert),
                       count_text(static_cast<std::uint64_t>(n)), percent(n), chosen, [&context, expert] {
                         context.run("select.expert", {{"row", expert.row}, {"expert", expert.expert}, {"add", false}});
                       }});
  }
  if (order.size() > coloured_experts)
    entries.push_back({Paint::of_category(other_category),
                       QObject::tr("%1 others").arg(order.size() - coloured_experts),
                       count_text(static_cast<std::uint64_t>(rest)),
                       percent(rest),
                       false,
                       {}});
  panel.set_legend(QObject::tr("Expert of %1").arg(where),
                   coloring.rank == 1 ? QObject::tr("tokens, share") : QObject::tr("all ranks, share"),
                   std::move(entries));
}

}  // namespace moescope
