// Screen-space marks over a scene, drawn with ImGui's draw list: floor labels, the followed token's labels, rings
// around hovered and selected nodes, the legend and the summary line. Called inside an ImGui frame, main thread.
#pragma once

#include <string>
#include <vector>

#include "views/common/scene3d/scene_renderer.h"

namespace moescope {

struct OverlayState {
  const SceneNode* hovered = nullptr;
  std::string hover_text;             // tooltip under the pointer, lines
  std::vector<std::string> legend;    // names of the categories in use; empty = none
  std::string scale_low, scale_high;  // ends of the magnitude bar; empty = none
};

void draw_scene_overlay(const SceneRenderer& renderer, const OverlayState& state, double width, double height);

}  // namespace moescope
