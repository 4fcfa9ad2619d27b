// TurntableCamera: orbit, pan and zoom around a focal point with a fixed upright axis, so that floors stay level. Pure
// arithmetic: the VTK camera is set from it, and labels and picks are projected with it. Main thread.
#pragma once

#include <array>
#include <optional>

#include "core/figure/scene.h"

class vtkCamera;

namespace moescope {

struct TurntableCamera {
  Vec3 focus;
  double distance = 8;
  double azimuth = 24;     // degrees around the upright axis
  double elevation = 15;   // degrees above the floors, -89..89
  double view_angle = 22;  // degrees, vertical

  void orbit(double dx_pixels, double dy_pixels);
  void pan(double dx_pixels, double dy_pixels, double viewport_height);
  void zoom(double steps);
  // Sees all floors of the scene from the current direction.
  void fit(const Scene& scene, double aspect);

  [[nodiscard]] Vec3 position() const;
  void apply_to(vtkCamera& camera, const Scene& scene) const;

  // Pixel (x right, y down) and depth (distance along the view) of a world point; none when it lies behind the eye.
  struct Projected {
    double x = 0, y = 0, depth = 0;
    double pixels_per_unit = 0;  // at that depth
  };
  [[nodiscard]] std::optional<Projected> project(const Vec3& point, double width, double height) const;
};

}  // namespace moescope
