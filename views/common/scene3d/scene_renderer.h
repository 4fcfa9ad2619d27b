// SceneRenderer: a core Scene as VTK actors: floors, expert nodes, aggregated tubes, and the followed token's route in
// a second layer that nothing hides. Lives on the main thread with a current OpenGL context while rendering.
#pragma once

#include <vtkSmartPointer.h>

#include <memory>
#include <optional>

#include "core/figure/scene.h"
#include "views/common/scene3d/turntable_camera.h"

class vtkRenderer;
class vtkRenderWindow;

namespace moescope {

class SceneRenderer {
 public:
  SceneRenderer();
  ~SceneRenderer();
  SceneRenderer(const SceneRenderer&) = delete;
  SceneRenderer& operator=(const SceneRenderer&) = delete;

  void attach(vtkRenderWindow& window);
  void detach(vtkRenderWindow& window);

  // Rebuilds the actors. Cheap enough for every change of threshold at 1,500 tubes.
  void set_scene(Scene scene, Theme theme);
  // Replaces the followed token's route and its labels; the other actors stay as they are.
  void set_route(const TokenRoute* route, bool second_rank);
  [[nodiscard]] const Scene& scene() const { return scene_; }
  [[nodiscard]] Theme theme() const { return theme_; }

  TurntableCamera camera;
  // Moves the camera into the VTK renderers; call before each render.
  void apply_camera();

  // The node, else the tube, under a pixel (x right, y down) of a viewport of this size.
  [[nodiscard]] const SceneNode* node_at(double x, double y, double width, double height) const;
  [[nodiscard]] const SceneTube* tube_at(double x, double y, double width, double height) const;

 private:
  void rebuild();
  void rebuild_route();
  Scene scene_;
  Theme theme_ = Theme::dark;
  vtkSmartPointer<vtkRenderer> base_, top_;
};

}  // namespace moescope
