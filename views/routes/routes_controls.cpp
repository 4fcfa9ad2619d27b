#include "views/routes/routes_controls.h"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace moescope {
namespace {

constexpr float panel_width = 292;
constexpr float control_width = 150;

struct ColorRow {
  RouteColor color;
  const char* name;
};
constexpr std::array<ColorRow, 3> color_rows{
    {{RouteColor::load, "load"}, {RouteColor::domain, "domain"}, {RouteColor::entropy, "entropy"}}};

// Two handles on one bar: the drawn layers. Dragging the middle moves both.
bool layer_range(RoutesControls& controls, const std::vector<std::string>& names) {
  const int last = std::max(0, static_cast<int>(names.size()) - 1);
  controls.first_row = std::clamp(controls.first_row, 0, last);
  controls.last_row = std::clamp(controls.last_row, controls.first_row, last);
  // The names stand in for the format: rows are drawn, but layers are what one reads.
  const std::string first = names.empty() ? "-" : "from " + names[static_cast<std::size_t>(controls.first_row)];
  const std::string second = names.empty() ? "-" : "to " + names[static_cast<std::size_t>(controls.last_row)];
  ImGui::SetNextItemWidth(control_width);
  return ImGui::DragIntRange2("layers", &controls.first_row, &controls.last_row, 0.08F, 0, last, first.c_str(),
                              second.c_str(), ImGuiSliderFlags_AlwaysClamp);
}

// Shares of the links, largest first: accent bars are drawn, grey ones are hidden by the threshold.
void link_histogram(const Scene& scene, double threshold) {
  constexpr int bars = 120;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 size{ImGui::GetContentRegionAvail().x, 34};
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(at, {at.x + size.x, at.y + size.y}, ImGui::GetColorU32(ImGuiCol_FrameBg), 3);
  if (!scene.link_shares.empty()) {
    const double most = scene.link_shares.front();
    // Ranks are spread logarithmically, so that both the few strong links and the long tail show.
    const double last_rank = std::log(static_cast<double>(scene.link_shares.size()) + 1);
    for (int i = 0; i < bars; ++i) {
      const auto rank = static_cast<std::size_t>(std::exp(last_rank * i / (bars - 1.0)) - 1);
      const double share = scene.link_shares[std::min(rank, scene.link_shares.size() - 1)];
      const auto height = static_cast<float>(std::max(1.0, (size.y - 4) * (most > 0 ? share / most : 0)));
      const float x = at.x + 2 + (size.x - 4) * static_cast<float>(i) / bars;
      list.AddRectFilled({x, at.y + size.y - 2 - height}, {x + (size.x - 4) / bars - 0.5F, at.y + size.y - 2},
                         ImGui::GetColorU32(share >= threshold ? ImGuiCol_PlotHistogram : ImGuiCol_Border));
    }
  }
  ImGui::Dummy(size);
  ImGui::TextDisabled("share of tokens by link rank");
}

bool threshold_slider(RoutesControls& controls) {
  auto percent = static_cast<float>(100 * controls.threshold);
  ImGui::SetNextItemWidth(control_width);
  const bool changed = ImGui::SliderFloat("threshold", &percent, 0.05F, 20.0F, "%.2f %%",
                                          ImGuiSliderFlags_Logarithmic | ImGuiSliderFlags_AlwaysClamp);
  if (changed) controls.threshold = static_cast<double>(percent) / 100;
  return changed;
}

}  // namespace

const char* route_color_name(RouteColor color) {
  for (const ColorRow& row : color_rows) {
    if (row.color == color) return row.name;
  }
  return "load";
}

RouteColor route_color_from_name(const std::string& name) {
  for (const ColorRow& row : color_rows) {
    if (name == row.name) return row.color;
  }
  return RouteColor::domain;
}

RoutesPanelEvents draw_routes_panel(RoutesControls& controls, const RoutesPanelInput& input) {
  RoutesPanelEvents events;
  const auto note = [&](bool changed) {
    events.changed = events.changed || changed;
    events.finished = events.finished || ImGui::IsItemDeactivatedAfterEdit();
  };
  // Choices are complete with the click that makes them.
  const auto note_choice = [&](bool changed) {
    events.changed = events.changed || changed;
    events.finished = events.finished || changed;
  };
  ImGui::SetNextWindowPos({static_cast<float>(input.width) - panel_width - 12, 12}, ImGuiCond_Always);
  ImGui::SetNextWindowSize({panel_width, 0}, ImGuiCond_Always);
  if (ImGui::Begin("Routes", nullptr,
                   ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoSavedSettings)) {
    note(layer_range(controls, input.row_names));
    note(threshold_slider(controls));
    if (input.scene) link_histogram(*input.scene, controls.threshold);
    ImGui::SetNextItemWidth(control_width);
    if (ImGui::BeginCombo("colour by", route_color_name(controls.color))) {
      for (const ColorRow& row : color_rows) {
        const bool possible = row.color != RouteColor::domain || input.has_tags;
        if (ImGui::Selectable(row.name, controls.color == row.color, possible ? 0 : ImGuiSelectableFlags_Disabled)) {
          note_choice(controls.color != row.color);
          controls.color = row.color;
        }
      }
      ImGui::EndCombo();
    }
    if (input.slots > 1) {
      ImGui::SetNextItemWidth(control_width);
      note(ImGui::SliderInt("ranks", &controls.ranks, 1, input.slots, "%d", ImGuiSliderFlags_AlwaysClamp));
    }
    ImGui::Separator();
    auto speed = static_cast<float>(controls.speed);
    ImGui::SetNextItemWidth(control_width);
    note(ImGui::SliderFloat("play speed", &speed, 0.5F, 30.0F, "%.1f tokens/s",
                            ImGuiSliderFlags_Logarithmic | ImGuiSliderFlags_AlwaysClamp));
    controls.speed = static_cast<double>(speed);
    if (ImGui::Button(controls.playing ? "Pause" : "Play", {70, 0})) {
      controls.playing = !controls.playing;
      note_choice(true);
    }
    ImGui::SameLine();
    note_choice(ImGui::Checkbox("follow token", &controls.follow));
    if (input.slots > 1) note_choice(ImGui::Checkbox("compare with rank 2", &controls.second_rank));
    events.changed = ImGui::Checkbox("spin", &controls.spin) || events.changed;
    const struct {
      const char* name;
      RoutesAction action;
    } buttons[] = {{"Fit", RoutesAction::fit},
                   {"Top", RoutesAction::top},
                   {"Side", RoutesAction::side},
                   {"Reset", RoutesAction::reset}};
    for (const auto& button : buttons) {
      if (button.action != RoutesAction::fit) ImGui::SameLine(0, 6);
      if (ImGui::Button(button.name, {62, 0})) events.action = button.action;
    }
    if (!input.busy.empty()) ImGui::TextDisabled("%s", input.busy.c_str());
  }
  ImGui::End();
  return events;
}

}  // namespace moescope
