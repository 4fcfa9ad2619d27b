// The Dear ImGui panel over the Routes scene. It edits a plain struct; the view turns finished edits into option.set
// commands, so that undo, the session and scripts see them. Called inside an ImGui frame, main thread.
#pragma once

#include <string>
#include <vector>

#include "core/figure/scene.h"

namespace moescope {

struct RoutesControls {
  int first_row = 0, last_row = 0;  // drawn rows, inclusive
  double threshold = 0.012;         // share of tokens
  RouteColor color = RouteColor::domain;
  int ranks = 1;     // expert ranks counted into routes
  double speed = 4;  // tokens per second
  bool playing = false;
  bool follow = true;  // the camera's labels follow the current token
  bool second_rank = false;
  bool spin = false;
  bool operator==(const RoutesControls&) const = default;
};

enum class RoutesAction { none, fit, top, side, reset };

struct RoutesPanelInput {
  const Scene* scene = nullptr;
  std::vector<std::string> row_names;  // "L0"
  int slots = 1;                       // most ranks there are
  bool has_tags = false;
  std::string busy;  // "Counting routes" while a job runs
  double width = 0;  // of the viewport, logical pixels
};

struct RoutesPanelEvents {
  bool changed = false;   // redraw with the new values
  bool finished = false;  // the edit is complete: store it
  RoutesAction action = RoutesAction::none;
};

[[nodiscard]] RoutesPanelEvents draw_routes_panel(RoutesControls& controls, const RoutesPanelInput& input);

[[nodiscard]] const char* route_color_name(RouteColor color);
[[nodiscard]] RouteColor route_color_from_name(const std::string& name);

}  // namespace moescope
