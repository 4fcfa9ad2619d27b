#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "core/figure/routes_layout.h"
#include "core/figure/scene.h"

namespace moescope {
namespace {

constexpr double floor_distance = 1.0;
constexpr double node_radius_at_even_load = 0.085;
constexpr double reference_radius = 2.4;
constexpr std::size_t path_points = 14;

struct Tower {
  std::vector<std::uint32_t> rows;  // drawn rows, ascending
  std::map<std::uint32_t, std::size_t> floor_of_row;
  std::vector<std::vector<std::size_t>> nodes_of_floor;  // index into Graph::nodes, by expert
  std::map<ExpertRef, std::size_t> node_of_expert;
  double radius = reference_radius;
  // Nodes and tubes grow with the tower, so that they keep their size on screen.
  [[nodiscard]] double scale() const { return radius / reference_radius; }
};

Tower make_tower(const Graph& graph) {
  Tower tower;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    tower.node_of_expert.emplace(graph.nodes[i].expert, i);
    tower.floor_of_row.emplace(graph.nodes[i].expert.row, 0);
  }
  for (auto& [row, floor] : tower.floor_of_row) {
    floor = tower.rows.size();
    tower.rows.push_back(row);
  }
  tower.nodes_of_floor.resize(tower.rows.size());
  for (const auto& [expert, node] : tower.node_of_expert) {
    tower.nodes_of_floor[tower.floor_of_row.at(expert.row)].push_back(node);
  }
  // Keep the tower about as tall as wide, and wide enough for its largest floor.
  std::size_t widest = 1;
  for (const auto& floor : tower.nodes_of_floor) widest = std::max(widest, floor.size());
  tower.radius =
      std::max({reference_radius, 0.58 * static_cast<double>(tower.rows.size()), 0.035 * static_cast<double>(widest)});
  return tower;
}

// Positions of all nodes: experts on one ring up to 48 of them, on several concentric rings beyond.
std::vector<Vec3> place_nodes(const Graph& graph, const Tower& tower) {
  std::vector<std::size_t> counts;
  std::vector<std::vector<FloorLink>> links(tower.rows.empty() ? 0 : tower.rows.size() - 1);
  std::vector<std::size_t> place_in_floor(graph.nodes.size(), 0);
  for (const auto& floor : tower.nodes_of_floor) {
    counts.push_back(floor.size());
    for (std::size_t i = 0; i < floor.size(); ++i) place_in_floor[floor[i]] = i;
  }
  for (const Graph::Link& link : graph.links) {
    const auto from = tower.node_of_expert.find(link.link.from);
    const auto to = tower.node_of_expert.find(link.link.to);
    if (from == tower.node_of_expert.end() || to == tower.node_of_expert.end()) continue;
    const std::size_t floor = tower.floor_of_row.at(link.link.from.row);
    if (tower.floor_of_row.at(link.link.to.row) != floor + 1) continue;
    links[floor].push_back({place_in_floor[from->second], place_in_floor[to->second], link.value});
  }
  const auto order = circular_order(counts, links);
  std::vector<Vec3> positions(graph.nodes.size());
  for (std::size_t floor = 0; floor < tower.nodes_of_floor.size(); ++floor) {
    const auto& nodes = tower.nodes_of_floor[floor];
    const std::size_t rings = std::max<std::size_t>(1, (nodes.size() + 47) / 48);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::size_t place = order[floor][i];
      const double angle = 2 * std::numbers::pi * static_cast<double>(place) / static_cast<double>(nodes.size());
      const double ring =
          rings == 1 ? 0.9 : 0.95 - 0.7 * static_cast<double>(place % rings) / static_cast<double>(rings);
      positions[nodes[i]] = {tower.radius * ring * std::cos(angle), floor_distance * static_cast<double>(floor),
                             tower.radius * ring * std::sin(angle)};
    }
  }
  return positions;
}

// A smooth climb from one floor to the next: leaves and arrives nearly upright, bent inwards.
std::vector<Vec3> climb(const Vec3& from, const Vec3& to) {
  const double rise = to.y - from.y;
  const Vec3 a{from.x * 0.86, from.y + 0.5 * rise, from.z * 0.86};
  const Vec3 b{to.x * 0.86, to.y - 0.5 * rise, to.z * 0.86};
  std::vector<Vec3> path;
  path.reserve(path_points);
  for (std::size_t i = 0; i < path_points; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(path_points - 1);
    const double s = 1 - t;
    const double w0 = s * s * s, w1 = 3 * s * s * t, w2 = 3 * s * t * t, w3 = t * t * t;
    path.push_back({w0 * from.x + w1 * a.x + w2 * b.x + w3 * to.x, w0 * from.y + w1 * a.y + w2 * b.y + w3 * to.y,
                    w0 * from.z + w1 * a.z + w2 * b.z + w3 * to.z});
  }
  return path;
}

// Colour of a node by the chosen measure. Domain: the prevailing tag value, grey as the values get even.
ScenePaint node_paint(const Result& result, const Graph& graph, std::size_t node, RouteColor color, double most_load) {
  if (color == RouteColor::domain) {
    const Matrix* tags = result.matrix("tag_share");
    if (tags && tags->columns() > 0 && node < tags->rows()) {
      std::size_t best = 0;
      double sum = 0;
      for (std::size_t c = 0; c < tags->columns(); ++c) {
        const double value = tags->at(node, c);
        if (std::isnan(value)) continue;
        sum += value;
        if (!(tags->at(node, best) >= value)) best = c;
      }
      const double even = 1.0 / static_cast<double>(tags->columns());
      const double share = sum > 0 ? tags->at(node, best) / sum : 0;
      const double purity = tags->columns() > 1 ? std::clamp((share - even) / (1 - even), 0.0, 1.0) : 1.0;
      return {sum > 0 ? Paint::of_category(static_cast<int>(best)) : Paint::of(ColorRole::neutral_bar),
              std::sqrt(purity)};
    }
    return {Paint::of(ColorRole::neutral_bar), 1};
  }
  if (color == RouteColor::entropy) {
    const Matrix* entropy = result.matrix("node_entropy");
    if (entropy && node < entropy->rows() && entropy->columns() > 0 && !std::isnan(entropy->at(node, 0))) {
      return {Paint::of_magnitude(std::clamp(entropy->at(node, 0), 0.0, 1.0)), 1};
    }
    return {Paint::of(ColorRole::neutral_bar), 1};
  }
  return {Paint::of_magnitude(most_load > 0 ? std::clamp(graph.nodes[node].value / most_load, 0.0, 1.0) : 0.0), 1};
}

std::string with_commas(std::size_t value) {
  std::string digits = std::to_string(value);
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

double effective_experts(const Graph& graph, const std::vector<std::size_t>& nodes) {
  double sum = 0;
  for (const std::size_t node : nodes) sum += graph.nodes[node].value;
  double entropy = 0;
  for (const std::size_t node : nodes) {
    const double p = sum > 0 ? graph.nodes[node].value / sum : 0;
    if (p > 0) entropy -= p * std::log(p);
  }
  return sum > 0 ? std::exp(entropy) : 0;
}

class Builder {
 public:
  Builder(const Result& result, const Graph& graph, const std::vector<RouterRow>& rows, const RoutesOptions& options,
          const Selection& selection)
      : result_(result),
        graph_(graph),
        rows_(rows),
        options_(options),
        selection_(selection),
        tower_(make_tower(graph)),
        positions_(place_nodes(graph, tower_)) {}

  Scene build(const TokenRoute* route) {
    add_floors();
    add_nodes();
    add_tubes();
    set_route(scene_, route, options_.second_rank);
    scene_.n = static_cast<double>(result_.provenance.tokens);
    return std::move(scene_);
  }

 private:
  [[nodiscard]] bool is_selected(const ExpertRef& expert) const {
    return std::find(selection_.experts.begin(), selection_.experts.end(), expert) != selection_.experts.end();
  }
  [[nodiscard]] std::string label(const ExpertRef& expert) const {
    return expert_label(expert.row < rows_.size() ? rows_[expert.row].layer : static_cast<int>(expert.row),
                        expert.expert);
  }

  void add_floors() {
    for (std::size_t floor = 0; floor < tower_.rows.size(); ++floor) {
      const std::uint32_t row = tower_.rows[floor];
      SceneFloor out;
      out.row = row;
      out.y = floor_distance * static_cast<double>(floor);
      out.radius = tower_.radius * 1.04;
      out.selected = std::any_of(selection_.experts.begin(), selection_.experts.end(),
                                 [&](const ExpertRef& expert) { return expert.row == row; });
      out.label = fmt::format("L{}", row < rows_.size() ? rows_[row].layer : static_cast<int>(row));
      out.sublabel = fmt::format("{:.1f} of {}", effective_experts(graph_, tower_.nodes_of_floor[floor]),
                                 tower_.nodes_of_floor[floor].size());
      scene_.floors.push_back(std::move(out));
    }
  }

  void add_nodes() {
    double most = 0;
    for (const Graph::Node& node : graph_.nodes) most = std::max(most, node.value);
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Graph::Node& node = graph_.nodes[i];
      const double experts = static_cast<double>(tower_.nodes_of_floor[tower_.floor_of_row.at(node.expert.row)].size());
      // Area follows the load against an even spread; crowded floors get smaller spheres.
      const double crowd = std::min(1.0, std::sqrt(24.0 / std::max(experts, 1.0)) + 0.15);
      SceneNode out;
      out.expert = node.expert;
      out.position = positions_[i];
      out.radius =
          node_radius_at_even_load * crowd * std::clamp(std::sqrt(std::max(node.value, 0.0) * experts), 0.35, 2.2);
      out.paint = node_paint(result_, graph_, i, options_.color, most);
      out.selected = is_selected(node.expert);
      out.tooltip =
          fmt::format("{}\n{:.1f} % of slots, lift {:.2f}", label(node.expert), 100 * node.value, node.value * experts);
      if (const Matrix* tags = result_.matrix("tag_share"); tags && i < tags->rows()) {
        for (std::size_t c = 0; c < tags->columns(); ++c) {
          if (const double share = tags->at(i, c); share >= 0.1) {
            out.tooltip += fmt::format("\n{} {:.0f} %", tags->column_names[c], 100 * share);
          }
        }
      }
      scene_.nodes.push_back(std::move(out));
    }
  }

  void add_tubes() {
    std::vector<const Graph::Link*> links;
    double total = 0, drawn = 0;
    for (const Graph::Link& link : graph_.links) {
      if (!(link.value > 0) || !tower_.node_of_expert.contains(link.link.from) ||
          !tower_.node_of_expert.contains(link.link.to)) {
        continue;
      }
      total += link.value;
      links.push_back(&link);
    }
    std::stable_sort(links.begin(), links.end(), [](const auto* a, const auto* b) { return a->value > b->value; });
    scene_.links_total = links.size();
    for (const Graph::Link* link : links) {
      scene_.link_shares.push_back(link->value);
      if (link->value < options_.threshold || scene_.tubes.size() >= options_.most_tubes) continue;
      drawn += link->value;
      const std::size_t from = tower_.node_of_expert.at(link->link.from);
      const std::size_t to = tower_.node_of_expert.at(link->link.to);
      SceneTube tube;
      tube.link = link->link;
      tube.path = climb(positions_[from], positions_[to]);
      tube.radius = tower_.scale() * std::clamp(0.125 * std::sqrt(link->value), 0.006, 0.07);
      tube.paint = scene_.nodes[from].paint;
      tube.selected = is_selected(link->link.from) || is_selected(link->link.to);
      tube.tooltip = fmt::format("{} → {}\n{:.1f} % of tokens, n = {}", label(link->link.from), label(link->link.to),
                                 100 * link->value, with_commas(static_cast<std::size_t>(std::max(link->n, 0.0))));
      scene_.tubes.push_back(std::move(tube));
    }
    scene_.share_drawn = total > 0 ? drawn / total : 0;
    scene_.summary = fmt::format("{} of {} links, each ≥ {:.1f} % of tokens, {:.0f} % of all routes",
                                 with_commas(scene_.tubes.size()), with_commas(scene_.links_total),
                                 100 * options_.threshold, 100 * scene_.share_drawn);
  }

  const Result& result_;
  const Graph& graph_;
  const std::vector<RouterRow>& rows_;
  const RoutesOptions& options_;
  const Selection& selection_;
  Tower tower_;
  std::vector<Vec3> positions_;
  Scene scene_;
};

}  // namespace

TokenRoute token_route(const Trace& trace, std::uint64_t token, std::uint32_t first_row, std::uint32_t last_row) {
  TokenRoute route;
  const Trace::Place place = trace.locate(token);
  if (!place.segment || !place.segment->has_ids()) return route;
  for (std::uint32_t row = first_row; row <= last_row && row < place.segment->rows; ++row) {
    TokenRoute::Step step;
    step.row = row;
    const std::size_t filled = std::min<std::size_t>(place.segment->filled(row, place.token), place.segment->slots);
    for (std::size_t slot = 0; slot < filled; ++slot) {
      step.experts.push_back(place.segment->id(row, place.token, slot));
      if (!place.segment->gate_weights.empty()) {
        const std::size_t at = (row * place.segment->tokens + place.token) * place.segment->slots + slot;
        step.weights.push_back(static_cast<double>(place.segment->gate_weights.at(at)));
      }
    }
    route.steps.push_back(std::move(step));
  }
  return route;
}

void set_route(Scene& scene, const TokenRoute* route, bool second_rank) {
  scene.routes.clear();
  scene.labels.clear();
  if (!route) return;
  const auto node_of = [&](const ExpertRef& expert) -> const SceneNode* {
    const auto found =
        std::find_if(scene.nodes.begin(), scene.nodes.end(), [&](const SceneNode& n) { return n.expert == expert; });
    return found == scene.nodes.end() ? nullptr : &*found;
  };
  for (int rank = 0; rank < (second_rank ? 2 : 1); ++rank) {
    SceneRoute out;
    out.rank = rank;
    const SceneNode* last = nullptr;
    for (const TokenRoute::Step& step : route->steps) {
      if (static_cast<std::size_t>(rank) >= step.experts.size()) continue;
      const SceneNode* here = node_of({step.row, step.experts[static_cast<std::size_t>(rank)]});
      if (!here) continue;
      if (last) {
        const auto part = climb(last->position, here->position);
        out.path.insert(out.path.end(), part.begin() + (out.path.empty() ? 0 : 1), part.end());
      }
      last = here;
      if (rank != 0) continue;
      const double weight = step.weights.empty() ? std::numeric_limits<double>::quiet_NaN() : step.weights[0];
      scene.labels.push_back({here->position,
                              std::isnan(weight) ? fmt::format("E{:02}", here->expert.expert)
                                                 : fmt::format("E{:02} {:.2f}", here->expert.expert, weight),
                              here->selected});
    }
    if (out.path.size() > 1) scene.routes.push_back(std::move(out));
  }
}

Scene routes_scene(const Result& result, const std::vector<RouterRow>& rows, const RoutesOptions& options,
                   const Selection& selection, const TokenRoute* route) {
  const Graph* graph = result.graph("routes");
  if (!graph || graph->nodes.empty()) {
    Scene empty;
    empty.summary = "No routes to draw";
    return empty;
  }
  return Builder(result, *graph, rows, options, selection).build(route);
}

}  // namespace moescope
