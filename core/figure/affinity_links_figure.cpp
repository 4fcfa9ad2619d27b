#include "core/figure/affinity_links_figure.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>

#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

// A link is related to the selection if it is the selected one, or touches a selected expert.
bool touches(const Selection& selection, const LinkRef& link) {
  if (selection.link) {
    const LinkRef& s = *selection.link;
    return link == s || link.from == s.from || link.to == s.from || link.from == s.to || link.to == s.to;
  }
  return std::any_of(selection.experts.begin(), selection.experts.end(),
                     [&](const ExpertRef& e) { return e == link.from || e == link.to; });
}

std::set<ExpertRef> chosen(const Selection& selection) {
  std::set<ExpertRef> out(selection.experts.begin(), selection.experts.end());
  if (selection.link) {
    out.insert(selection.link->from);
    out.insert(selection.link->to);
  }
  return out;
}

}  // namespace

Figure affinity_links_figure(const ResultPtr& affinity, const AffinityLinksOptions& options, const Selection& selection,
                             double width, double height) {
  const Graph* graph = affinity ? affinity->graph("links") : nullptr;
  if (graph == nullptr || graph->links.empty())
    return message_figure("No links between layers were counted.", width, height, affinity);

  std::map<std::uint32_t, std::uint32_t> experts;  // row -> number of dots
  const auto see = [&](ExpertRef e) {
    if (e.row < options.first_row || e.row > options.last_row) return;
    auto& most = experts[e.row];
    most = std::max(most, e.expert + 1);
    if (e.row < options.experts.size()) most = std::max(most, options.experts[e.row]);
  };
  for (const Graph::Node& node : graph->nodes) see(node.expert);
  std::vector<const Graph::Link*> links;
  for (const Graph::Link& link : graph->links) {
    see(link.link.from);
    see(link.link.to);
    const auto inside = [&](ExpertRef e) { return e.row >= options.first_row && e.row <= options.last_row; };
    if (inside(link.link.from) && inside(link.link.to) && std::isfinite(link.value)) links.push_back(&link);
  }
  if (links.empty() || experts.size() < 2)
    return message_figure("No links between these layers.", width, height, affinity);

  FigureBuilder b(width, height);
  double low = links.front()->value;
  double high = low;
  for (const Graph::Link* link : links) {
    low = std::min(low, link->value);
    high = std::max(high, link->value);
  }
  const double x0 = 34;
  const double x1 = width - 34;
  const double y0 = 30;
  const double y1 = std::max(y0 + 20, height - 34);
  std::map<std::uint32_t, double> x_of;
  std::size_t place = 0;
  for (const auto& [row, count] : experts)
    x_of[row] = x0 + (x1 - x0) * static_cast<double>(place++) / static_cast<double>(experts.size() - 1);
  const auto at = [&](ExpertRef e) {
    const auto n = static_cast<double>(experts.at(e.row));
    return Point{x_of.at(e.row), n <= 1 ? (y0 + y1) / 2 : y0 + (y1 - y0) * e.expert / (n - 1)};
  };
  const auto name_of = [&](std::uint32_t row) {
    return row < options.row_names.size() ? options.row_names[row] : "L" + std::to_string(row);
  };
  std::set<ExpertRef> linked;
  std::stable_sort(links.begin(), links.end(), [](const auto* a, const auto* c) { return a->value < c->value; });
  for (const bool related : {false, true}) {
    for (const Graph::Link* link : links) {
      if (touches(selection, link->link) != related) continue;
      linked.insert(link->link.from);
      linked.insert(link->link.to);
      const double strength = high > low ? (link->value - low) / (high - low) : 1;
      const std::string words = name_of(link->link.from.row) + "·" + expert_name(link->link.from.expert) + " → " +
                                name_of(link->link.to.row) + "·" + expert_name(link->link.to.expert) +
                                "\nP = " + format_number(link->value, 3) + "\nn = " + format_count(link->n);
      const Paint paint =
          related ? Paint::of(ColorRole::accent, 0.95) : Paint::of(ColorRole::text_3, 0.3 + 0.35 * strength);
      b.curve(at(link->link.from), at(link->link.to), paint, (related ? 1.4 : 0.9) + 3 * strength,
              related ? layer::over_data : layer::data, b.pick(link->link, words));
    }
  }
  const double pitch = (y1 - y0) / std::max(1.0, static_cast<double>(experts.begin()->second));
  const double radius = std::clamp(pitch * 0.36, 0.7, 3.0);
  const std::set<ExpertRef> selected = chosen(selection);
  for (const auto& [row, count] : experts) {
    for (std::uint32_t e = 0; e < count; ++e) {
      const ExpertRef ref{row, e};
      const bool used = linked.count(ref) > 0;
      const int pick = b.pick(ref, name_of(row) + "·" + expert_name(e) + (used ? "" : "\nnone of the strongest links"));
      b.circle(at(ref), used ? radius + 0.5 : radius, Paint::of(used ? ColorRole::text_1 : ColorRole::text_3),
               layer::text, pick);
    }
    const bool marked =
        std::any_of(selected.begin(), selected.end(), [row = row](const ExpertRef& e) { return e.row == row; });
    b.text({x_of[row], height - 10}, name_of(row), FontRole::mono_small,
           Paint::of(marked ? ColorRole::text_1 : ColorRole::text_2), Anchor::middle)
        .bold = marked;
  }
  for (const ExpertRef& e : selected) {
    if (experts.count(e.row) == 0 || e.expert >= experts.at(e.row)) continue;
    const bool left = selection.link && e == selection.link->from;
    const Point p = at(e);
    b.chip({p.x + (left ? -16 : 16), p.y + 4}, expert_name(e.expert), left ? Anchor::end : Anchor::start);
  }
  const std::string head =
      "Strongest links, " + name_of(experts.begin()->first) + " to " + name_of(experts.rbegin()->first);
  const std::string scale = "width = P(j | i), " + format_number(low, 2) + " to " + format_number(high, 2);
  b.text({8, 13}, fit_text(head, FontRole::head, width * 0.5), FontRole::head, Paint::of(ColorRole::text_1));
  b.text({width - 8, 13}, fit_text(scale, FontRole::axis, width * 0.45), FontRole::axis, Paint::of(ColorRole::text_3),
         Anchor::end);
  return std::move(b).finish(head, head + "; " + scale + "." + n_sentence(*affinity), affinity);
}

}  // namespace moescope
