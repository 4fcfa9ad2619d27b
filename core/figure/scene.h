// Scene: a Result made drawable in three dimensions; no toolkit. The VTK renderer of views/common draws it, tests check
// it without pixels. Built on any thread; immutable afterwards. World: one floor per router row at height `y`, experts
// placed around it, y up, units of one floor distance.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/export.h"
#include "core/base/ids.h"
#include "core/figure/figure.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

struct Vec3 {
  double x = 0, y = 0, z = 0;
};

// A colour that fades towards the theme's neutral grey: `purity` 1 = the paint itself, 0 = grey (no class prevails).
struct ScenePaint {
  Paint paint;
  double purity = 1;
};

struct SceneNode {
  ExpertRef expert;
  Vec3 position;
  double radius = 0.05;  // its area is proportional to the load
  ScenePaint paint;
  bool selected = false;
  std::string tooltip;
};

// An aggregated route between two experts: a smooth path and a radius that follows its share of tokens.
struct SceneTube {
  LinkRef link;
  std::vector<Vec3> path;
  double radius = 0.01;
  ScenePaint paint;
  bool selected = false;  // touches a selected expert
  std::string tooltip;
};

struct SceneFloor {
  std::uint32_t row = 0;
  double y = 0;
  double radius = 1;
  bool selected = false;
  std::string label;     // "L3"
  std::string sublabel;  // "12.8 of 16"
};

// The way of one token: its rank-r expert at each drawn row.
struct SceneRoute {
  int rank = 0;
  std::vector<Vec3> path;
};

// A label beside a node: text drawn in screen space.
struct SceneLabel {
  Vec3 anchor;
  std::string text;
  bool selected = false;
};

struct Scene {
  std::vector<SceneNode> nodes;
  std::vector<SceneTube> tubes;
  std::vector<SceneFloor> floors;
  std::vector<SceneRoute> routes;
  std::vector<SceneLabel> labels;
  std::size_t links_total = 0;      // links with any token in the drawn rows
  double share_drawn = 0;           // part of all transitions that the drawn tubes carry, 0..1
  std::vector<double> link_shares;  // of all links, largest first: the histogram beside the threshold
  double n = 0;                     // tokens behind it
  std::string summary;              // "99 of 1,280 links, each ≥ 1.2 % of tokens, 64 % of all routes"
};

enum class RouteColor : std::uint8_t { load, domain, entropy };

struct RoutesOptions {
  double threshold = 0.012;  // share of tokens below which a link is not drawn
  RouteColor color = RouteColor::domain;
  std::size_t most_tubes = 1500;  // a software renderer draws no more of them smoothly
  bool second_rank = false;       // draw the token's rank-2 route too
};

// Which experts one token took at the drawn rows, in rank order, with weights (NaN = not recorded).
struct TokenRoute {
  struct Step {
    std::uint32_t row = 0;
    std::vector<std::uint32_t> experts;
    std::vector<double> weights;
  };
  std::vector<Step> steps;
};
[[nodiscard]] MOESCOPE_API TokenRoute token_route(const Trace& trace, std::uint64_t token, std::uint32_t first_row,
                                                  std::uint32_t last_row);

// The tower of a `route_graph` Result. `rows` are the trace's (labels); `route` is the followed token's, if any.
[[nodiscard]] MOESCOPE_API Scene routes_scene(const Result& result, const std::vector<RouterRow>& rows,
                                              const RoutesOptions& options, const Selection& selection,
                                              const TokenRoute* route);
// Replaces the followed token of a scene (null = none) and leaves the rest, for playing token by token.
MOESCOPE_API void set_route(Scene& scene, const TokenRoute* route, bool second_rank);

}  // namespace moescope
