#include "views/common/scene3d/scene_overlay.h"

#include <imgui.h>

#include <algorithm>

namespace moescope {
namespace {

ImU32 color(const Paint& paint, Theme theme, double alpha = 1.0) {
  const Rgb c = resolve(paint, theme);
  return IM_COL32(c.r, c.g, c.b, static_cast<int>(255 * alpha));
}
ImU32 role(ColorRole r, Theme theme, double alpha = 1.0) {
  return color(Paint::of(r), theme, alpha);
}

ImVec2 vec(double x, double y) {
  return {static_cast<float>(x), static_cast<float>(y)};
}

// A chip: text on a small panel with a border; accent when it stands for the selection.
void chip(ImDrawList& list, ImVec2 at, const std::string& text, bool selected, Theme theme) {
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  const ImVec2 low{at.x, at.y - size.y / 2 - 2}, high{at.x + size.x + 12, at.y + size.y / 2 + 2};
  list.AddRectFilled(low, high, role(ColorRole::panel, theme, 0.92), 3);
  list.AddRect(low, high, role(selected ? ColorRole::accent : ColorRole::control_border, theme), 3);
  list.AddText({low.x + 6, low.y + 2}, role(ColorRole::text_1, theme), text.c_str());
}

void draw_floor_labels(ImDrawList& list, const SceneRenderer& renderer, double width, double height) {
  const Theme theme = renderer.theme();
  double last_y = 1e9;
  for (const SceneFloor& floor : renderer.scene().floors) {
    const auto center = renderer.camera.project({0, floor.y, 0}, width, height);
    if (!center) continue;
    const double x = center->x - floor.radius * center->pixels_per_unit - 12;
    // Floors of a tall tower crowd: leave out labels that would overlap, never the selected one.
    if (last_y - center->y < 18 && !floor.selected) continue;
    last_y = center->y;
    const ImVec2 sub = ImGui::CalcTextSize(floor.sublabel.c_str());
    const ImVec2 name = ImGui::CalcTextSize(floor.label.c_str());
    const double right = std::max(x, static_cast<double>(sub.x + name.x) + 34);
    list.AddText(vec(right - sub.x, center->y - sub.y / 2), role(ColorRole::text_3, theme), floor.sublabel.c_str());
    const ImVec2 at = vec(right - sub.x - name.x - 14, center->y - name.y / 2);
    if (floor.selected) {
      list.AddRectFilled({at.x - 6, at.y - 2}, {at.x + name.x + 6, at.y + name.y + 2}, role(ColorRole::accent, theme),
                         3);
    }
    list.AddText(at, role(floor.selected ? ColorRole::text_on_accent : ColorRole::text_1, theme), floor.label.c_str());
  }
}

void draw_rings(ImDrawList& list, const SceneRenderer& renderer, const OverlayState& state, double width,
                double height) {
  const Theme theme = renderer.theme();
  for (const SceneNode& node : renderer.scene().nodes) {
    const bool hovered = state.hovered == &node;
    if (!node.selected && !hovered) continue;
    const auto at = renderer.camera.project(node.position, width, height);
    if (!at) continue;
    const auto radius = static_cast<float>(node.radius * at->pixels_per_unit + 3);
    list.AddCircle(vec(at->x, at->y), radius, role(ColorRole::text_1, theme), 48, node.selected ? 2.5F : 1.2F);
  }
}

void draw_legend(ImDrawList& list, const SceneRenderer& renderer, const OverlayState& state, double width,
                 double height) {
  const Theme theme = renderer.theme();
  const float line = ImGui::GetTextLineHeight() + 7;
  if (!state.legend.empty()) {
    const std::size_t columns = state.legend.size() > 3 ? 3 : 1;
    const std::size_t lines = (state.legend.size() + columns - 1) / columns;
    float column_width = 0;
    for (const std::string& name : state.legend)
      column_width = std::max(column_width, ImGui::CalcTextSize(name.c_str()).x + 30);
    const float left = static_cast<float>(width) - 16 - column_width * static_cast<float>(columns);
    const float top = static_cast<float>(height) - 20 - line * static_cast<float>(lines + 1);
    for (std::size_t i = 0; i < state.legend.size(); ++i) {
      const auto column = i % columns, row = i / columns;
      const float x = left + column_width * static_cast<float>(column);
      const float y = top + line * static_cast<float>(row);
      list.AddCircleFilled({x + 5, y + 7}, 5, color(Paint::of_category(static_cast<int>(i)), theme));
      list.AddText({x + 16, y}, role(ColorRole::text_2, theme), state.legend[i].c_str());
    }
    const float y = top + line * static_cast<float>(lines);
    list.AddCircleFilled({left + 5, y + 7}, 5, role(ColorRole::neutral_bar, theme));
    list.AddText({left + 16, y}, role(ColorRole::text_3, theme), "mixed; area of a node = its load");
  } else if (!state.scale_high.empty()) {
    const float left = static_cast<float>(width) - 236, top = static_cast<float>(height) - 44;
    for (int i = 0; i < 110; ++i) {
      list.AddRectFilled({left + 2 * static_cast<float>(i), top}, {left + 2 * static_cast<float>(i + 1), top + 10},
                         color(Paint::of_magnitude(i / 109.0), theme));
    }
    list.AddText({left, top + 13}, role(ColorRole::text_2, theme), state.scale_low.c_str());
    const ImVec2 size = ImGui::CalcTextSize(state.scale_high.c_str());
    list.AddText({left + 220 - size.x, top + 13}, role(ColorRole::text_2, theme), state.scale_high.c_str());
  }
}

}  // namespace

void draw_scene_overlay(const SceneRenderer& renderer, const OverlayState& state, double width, double height) {
  ImDrawList& list = *ImGui::GetBackgroundDrawList();
  const Theme theme = renderer.theme();
  list.AddText({16, 12}, role(ColorRole::text_2, theme), renderer.scene().summary.c_str());
  if (!renderer.scene().floors.empty()) {
    list.AddText({16, 30}, role(ColorRole::text_3, theme), "beside each layer: effective experts");
  }
  draw_floor_labels(list, renderer, width, height);
  draw_rings(list, renderer, state, width, height);
  for (const SceneLabel& label : renderer.scene().labels) {
    if (const auto at = renderer.camera.project(label.anchor, width, height)) {
      chip(list, vec(at->x + 0.14 * at->pixels_per_unit + 6, at->y), label.text, label.selected, theme);
    }
  }
  draw_legend(list, renderer, state, width, height);
  if (!state.hover_text.empty() && !ImGui::GetIO().WantCaptureMouse) {
    ImGui::BeginTooltip();
    ImGui::TextUnformatted(state.hover_text.c_str());
    ImGui::EndTooltip();
  }
}

}  // namespace moescope
