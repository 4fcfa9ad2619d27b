#include "views/common/scene3d/scene_renderer.h"

#include <vtkActor.h>
#include <vtkCamera.h>
#include <vtkCellArray.h>
#include <vtkDoubleArray.h>
#include <vtkGlyph3DMapper.h>
#include <vtkLight.h>
#include <vtkPointData.h>
#include <vtkPoints.h>
#include <vtkPolyData.h>
#include <vtkPolyDataMapper.h>
#include <vtkProperty.h>
#include <vtkRenderWindow.h>
#include <vtkRenderer.h>
#include <vtkSphereSource.h>
#include <vtkTubeFilter.h>
#include <vtkUnsignedCharArray.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace moescope {
namespace {

constexpr int rim_points = 96;

std::array<double, 3> unit_rgb(Rgb c) {
  return {c.r / 255.0, c.g / 255.0, c.b / 255.0};
}

// Fades a paint towards the neutral grey of the theme.
Rgb scene_rgb(const ScenePaint& paint, Theme theme) {
  const Rgb full = resolve(paint.paint, theme);
  const Rgb grey = resolve(Paint::of(ColorRole::neutral_bar), theme);
  const double p = std::clamp(0.25 + 0.75 * paint.purity, 0.0, 1.0);
  const auto mix = [p](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround(p * a + (1 - p) * b));
  };
  return {mix(full.r, grey.r), mix(full.g, grey.g), mix(full.b, grey.b)};
}

vtkSmartPointer<vtkActor> actor_of(vtkPolyDataMapper* mapper) {
  auto actor = vtkSmartPointer<vtkActor>::New();
  actor->SetMapper(mapper);
  return actor;
}

vtkSmartPointer<vtkPolyData> rim_of(const SceneFloor& floor, bool filled) {
  auto points = vtkSmartPointer<vtkPoints>::New();
  auto cells = vtkSmartPointer<vtkCellArray>::New();
  for (int i = 0; i < rim_points; ++i) {
    const double angle = 2 * std::numbers::pi * i / rim_points;
    points->InsertNextPoint(floor.radius * std::cos(angle), floor.y, floor.radius * std::sin(angle));
  }
  cells->InsertNextCell(filled ? rim_points : rim_points + 1);
  for (int i = 0; i < rim_points; ++i) cells->InsertCellPoint(i);
  if (!filled) cells->InsertCellPoint(0);
  auto data = vtkSmartPointer<vtkPolyData>::New();
  data->SetPoints(points);
  if (filled) {
    data->SetPolys(cells);
  } else {
    data->SetLines(cells);
  }
  return data;
}

void add_floor(vtkRenderer& renderer, const SceneFloor& floor, Theme theme) {
  const auto text = unit_rgb(resolve(Paint::of(ColorRole::text_3), theme));
  const auto accent = unit_rgb(resolve(Paint::of(ColorRole::accent), theme));
  auto disc_mapper = vtkSmartPointer<vtkPolyDataMapper>::New();
  disc_mapper->SetInputData(rim_of(floor, true));
  auto disc = actor_of(disc_mapper);
  disc->GetProperty()->SetColor(text[0], text[1], text[2]);
  disc->GetProperty()->SetOpacity(floor.selected ? 0.20 : 0.10);
  disc->GetProperty()->LightingOff();
  renderer.AddActor(disc);
  auto rim_mapper = vtkSmartPointer<vtkPolyDataMapper>::New();
  rim_mapper->SetInputData(rim_of(floor, false));
  auto rim = actor_of(rim_mapper);
  const auto& rim_color = floor.selected ? accent : text;
  rim->GetProperty()->SetColor(rim_color[0], rim_color[1], rim_color[2]);
  rim->GetProperty()->SetLineWidth(floor.selected ? 2.0F : 1.0F);
  rim->GetProperty()->LightingOff();
  renderer.AddActor(rim);
}

// Glyph arrays: where, how large, which colour.
struct NodeCloud {
  vtkSmartPointer<vtkPoints> points = vtkSmartPointer<vtkPoints>::New();
  vtkSmartPointer<vtkDoubleArray> radii = vtkSmartPointer<vtkDoubleArray>::New();
  vtkSmartPointer<vtkUnsignedCharArray> colors = vtkSmartPointer<vtkUnsignedCharArray>::New();
  NodeCloud() {
    radii->SetName("radius");
    colors->SetName("color");
    colors->SetNumberOfComponents(3);
  }
  void add(const Vec3& at, double radius, Rgb color) {
    points->InsertNextPoint(at.x, at.y, at.z);
    radii->InsertNextValue(radius);
    colors->InsertNextTuple3(color.r, color.g, color.b);
  }
};

void add_spheres(vtkRenderer& renderer, const NodeCloud& cloud) {
  if (cloud.points->GetNumberOfPoints() == 0) return;
  auto data = vtkSmartPointer<vtkPolyData>::New();
  data->SetPoints(cloud.points);
  data->GetPointData()->AddArray(cloud.radii);
  data->GetPointData()->SetScalars(cloud.colors);
  // Triangles in all stay near 200,000, whatever the number of experts.
  const auto count = static_cast<double>(cloud.points->GetNumberOfPoints());
  const int resolution = std::clamp(static_cast<int>(std::sqrt(100000.0 / count)), 5, 20);
  auto sphere = vtkSmartPointer<vtkSphereSource>::New();
  sphere->SetRadius(1.0);
  sphere->SetThetaResolution(resolution);
  sphere->SetPhiResolution(resolution);
  auto mapper = vtkSmartPointer<vtkGlyph3DMapper>::New();
  mapper->SetInputData(data);
  mapper->SetSourceConnection(sphere->GetOutputPort());
  mapper->SetScaleArray("radius");
  mapper->SetScaleModeToScaleByMagnitude();
  mapper->SetScalarModeToUsePointData();
  mapper->SetColorModeToDirectScalars();
  auto actor = vtkSmartPointer<vtkActor>::New();
  actor->SetMapper(mapper);
  actor->GetProperty()->SetAmbient(0.28);
  actor->GetProperty()->SetDiffuse(0.72);
  actor->GetProperty()->SetSpecular(0.18);
  actor->GetProperty()->SetSpecularPower(24);
  renderer.AddActor(actor);
}

// Paths as tubes with a radius and a colour per point.
class TubeBundle {
 public:
  TubeBundle() {
    radii_->SetName("radius");
    colors_->SetName("color");
    colors_->SetNumberOfComponents(3);
  }
  void add(const std::vector<Vec3>& path, double radius, Rgb color) {
    lines_->InsertNextCell(static_cast<vtkIdType>(path.size()));
    for (const Vec3& point : path) {
      lines_->InsertCellPoint(points_->InsertNextPoint(point.x, point.y, point.z));
      radii_->InsertNextValue(radius);
      colors_->InsertNextTuple3(color.r, color.g, color.b);
    }
  }
  [[nodiscard]] bool empty() const { return points_->GetNumberOfPoints() == 0; }
  void add_to(vtkRenderer& renderer, double opacity, int sides, bool lit) const {
    if (empty()) return;
    auto data = vtkSmartPointer<vtkPolyData>::New();
    data->SetPoints(points_);
    data->SetLines(lines_);
    data->GetPointData()->AddArray(colors_);
    data->GetPointData()->SetScalars(radii_);
    auto tube = vtkSmartPointer<vtkTubeFilter>::New();
    tube->SetInputData(data);
    tube->SetVaryRadiusToVaryRadiusByAbsoluteScalar();
    tube->SetNumberOfSides(sides);
    tube->CappingOn();
    auto mapper = vtkSmartPointer<vtkPolyDataMapper>::New();
    mapper->SetInputConnection(tube->GetOutputPort());
    mapper->SetScalarModeToUsePointFieldData();
    mapper->SelectColorArray("color");
    mapper->SetColorModeToDirectScalars();
    auto actor = actor_of(mapper);
    actor->GetProperty()->SetOpacity(opacity);
    actor->GetProperty()->SetAmbient(0.35);
    actor->GetProperty()->SetDiffuse(0.65);
    if (!lit) actor->GetProperty()->LightingOff();
    renderer.AddActor(actor);
  }

 private:
  vtkSmartPointer<vtkPoints> points_ = vtkSmartPointer<vtkPoints>::New();
  vtkSmartPointer<vtkCellArray> lines_ = vtkSmartPointer<vtkCellArray>::New();
  vtkSmartPointer<vtkDoubleArray> radii_ = vtkSmartPointer<vtkDoubleArray>::New();
  vtkSmartPointer<vtkUnsignedCharArray> colors_ = vtkSmartPointer<vtkUnsignedCharArray>::New();
};

double distance_to_segment(double px, double py, double ax, double ay, double bx, double by) {
  const double dx = bx - ax, dy = by - ay;
  const double length = dx * dx + dy * dy;
  const double t = length > 0 ? std::clamp(((px - ax) * dx + (py - ay) * dy) / length, 0.0, 1.0) : 0.0;
  return std::hypot(px - ax - t * dx, py - ay - t * dy);
}

}  // namespace

SceneRenderer::SceneRenderer() : base_(vtkSmartPointer<vtkRenderer>::New()), top_(vtkSmartPointer<vtkRenderer>::New()) {
  base_->SetLayer(0);
  top_->SetLayer(1);
  top_->InteractiveOff();
  // Edges are smoothed after rendering: a software renderer pays for samples, hardly for this.
  base_->UseFXAAOn();
  top_->SetActiveCamera(base_->GetActiveCamera());
}

SceneRenderer::~SceneRenderer() = default;

void SceneRenderer::attach(vtkRenderWindow& window) {
  window.SetNumberOfLayers(2);
  window.AddRenderer(base_);
  window.AddRenderer(top_);
}

void SceneRenderer::detach(vtkRenderWindow& window) {
  window.RemoveRenderer(top_);
  window.RemoveRenderer(base_);
}

void SceneRenderer::set_scene(Scene scene, Theme theme) {
  scene_ = std::move(scene);
  theme_ = theme;
  rebuild();
}

void SceneRenderer::set_route(const TokenRoute* route, bool second_rank) {
  moescope::set_route(scene_, route, second_rank);
  rebuild_route();
}

void SceneRenderer::rebuild() {
  base_->RemoveAllViewProps();
  const auto background = unit_rgb(resolve(Paint::of(ColorRole::sunken), theme_));
  base_->SetBackground(background[0], background[1], background[2]);
  for (const SceneFloor& floor : scene_.floors) add_floor(*base_, floor, theme_);

  NodeCloud nodes;
  for (const SceneNode& node : scene_.nodes) nodes.add(node.position, node.radius, scene_rgb(node.paint, theme_));
  add_spheres(*base_, nodes);

  const bool any_selected =
      std::any_of(scene_.tubes.begin(), scene_.tubes.end(), [](const SceneTube& t) { return t.selected; });
  const int sides = scene_.tubes.size() > 400 ? 5 : 8;
  TubeBundle quiet, strong;
  for (const SceneTube& tube : scene_.tubes) {
    (tube.selected ? strong : quiet).add(tube.path, tube.radius, scene_rgb(tube.paint, theme_));
  }
  const double opacity = theme_ == Theme::dark ? 0.34 : 0.46;
  quiet.add_to(*base_, any_selected ? opacity * 0.55 : opacity, sides, true);
  strong.add_to(*base_, 0.95, sides, true);
  rebuild_route();
}

void SceneRenderer::rebuild_route() {
  top_->RemoveAllViewProps();
  // The followed token: plain colour, so that it reads on any background, and its rank-2 way thinner and greyer.
  const Rgb route_color = theme_ == Theme::dark ? Rgb{255, 255, 255} : Rgb{22, 24, 28};
  const double scale = scene_.floors.empty() ? 1 : scene_.floors.front().radius / 2.5;
  TubeBundle first, second;
  for (const SceneRoute& route : scene_.routes) {
    (route.rank == 0 ? first : second).add(route.path, scale * (route.rank == 0 ? 0.028 : 0.016), route_color);
  }
  second.add_to(*top_, 0.5, 8, false);
  first.add_to(*top_, 1.0, 10, false);
}

void SceneRenderer::apply_camera() {
  camera.apply_to(*base_->GetActiveCamera(), scene_);
}

const SceneNode* SceneRenderer::node_at(double x, double y, double width, double height) const {
  const SceneNode* best = nullptr;
  double nearest = std::numeric_limits<double>::infinity();
  for (const SceneNode& node : scene_.nodes) {
    const auto at = camera.project(node.position, width, height);
    if (!at || at->depth >= nearest) continue;
    if (std::hypot(at->x - x, at->y - y) <= std::max(4.0, node.radius * at->pixels_per_unit)) {
      best = &node;
      nearest = at->depth;
    }
  }
  return best;
}

const SceneTube* SceneRenderer::tube_at(double x, double y, double width, double height) const {
  const SceneTube* best = nullptr;
  double nearest = std::numeric_limits<double>::infinity();
  for (const SceneTube& tube : scene_.tubes) {
    std::optional<TurntableCamera::Projected> last;
    for (const Vec3& point : tube.path) {
      const auto here = camera.project(point, width, height);
      if (here && last && here->depth < nearest &&
          distance_to_segment(x, y, last->x, last->y, here->x, here->y) <=
              std::max(3.0, tube.radius * here->pixels_per_unit)) {
        best = &tube;
        nearest = here->depth;
      }
      last = here;
    }
  }
  return best;
}

}  // namespace moescope
