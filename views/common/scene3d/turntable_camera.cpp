#include "views/common/scene3d/turntable_camera.h"

#include <vtkCamera.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moescope {
namespace {

double radians(double degrees) {
  return degrees * std::numbers::pi / 180.0;
}

struct Basis {
  Vec3 right, up, forward;
};

double dot(const Vec3& a, const Vec3& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

Basis basis_of(const TurntableCamera& camera) {
  const double a = radians(camera.azimuth), e = radians(camera.elevation);
  const Vec3 forward{-std::cos(e) * std::sin(a), -std::sin(e), -std::cos(e) * std::cos(a)};
  const Vec3 right{std::cos(a), 0, -std::sin(a)};
  const Vec3 up{right.y * forward.z - right.z * forward.y, right.z * forward.x - right.x * forward.z,
                right.x * forward.y - right.y * forward.x};
  return {right, up, forward};
}

}  // namespace

void TurntableCamera::orbit(double dx_pixels, double dy_pixels) {
  azimuth = std::fmod(azimuth - 0.4 * dx_pixels, 360.0);
  elevation = std::clamp(elevation + 0.4 * dy_pixels, -89.0, 89.0);
}

void TurntableCamera::pan(double dx_pixels, double dy_pixels, double viewport_height) {
  const Basis basis = basis_of(*this);
  const double per_pixel = 2 * distance * std::tan(radians(view_angle) / 2) / std::max(viewport_height, 1.0);
  const double dx = -dx_pixels * per_pixel, dy = dy_pixels * per_pixel;
  focus = {focus.x + basis.right.x * dx + basis.up.x * dy, focus.y + basis.right.y * dx + basis.up.y * dy,
           focus.z + basis.right.z * dx + basis.up.z * dy};
}

void TurntableCamera::zoom(double steps) {
  distance = std::clamp(distance * std::pow(0.9, steps), 0.2, 500.0);
}

void TurntableCamera::fit(const Scene& scene, double aspect) {
  if (scene.floors.empty()) return;
  double low = scene.floors.front().y, high = low, radius = 0;
  for (const SceneFloor& floor : scene.floors) {
    low = std::min(low, floor.y);
    high = std::max(high, floor.y);
    radius = std::max(radius, floor.radius);
  }
  focus = {0, (low + high) / 2, 0};
  const double e = std::abs(radians(elevation));
  // Silhouette of a cylinder seen from the elevation, plus a margin; the nearer rim looks larger by its distance.
  const double half_height = 0.5 * (high - low) * std::cos(e) + radius * std::sin(e) + 0.15;
  const double half_width = radius * 1.12;
  const double tangent = std::tan(radians(view_angle) / 2);
  distance = std::max(half_height / tangent, half_width / (tangent * std::max(aspect, 0.1))) + radius * 0.9;
}

Vec3 TurntableCamera::position() const {
  const Basis basis = basis_of(*this);
  return {focus.x - basis.forward.x * distance, focus.y - basis.forward.y * distance,
          focus.z - basis.forward.z * distance};
}

void TurntableCamera::apply_to(vtkCamera& camera, const Scene& scene) const {
  const Vec3 eye = position();
  const Vec3 up = basis_of(*this).up;
  camera.SetFocalPoint(focus.x, focus.y, focus.z);
  camera.SetPosition(eye.x, eye.y, eye.z);
  camera.SetViewUp(up.x, up.y, up.z);
  camera.SetViewAngle(view_angle);
  double reach = 4;
  for (const SceneFloor& floor : scene.floors) {
    reach = std::max(reach, std::hypot(floor.radius, floor.y - focus.y) + std::hypot(focus.x, focus.z) + 1);
  }
  camera.SetClippingRange(std::max(0.05, distance - reach), distance + reach);
}

std::optional<TurntableCamera::Projected> TurntableCamera::project(const Vec3& point, double width,
                                                                   double height) const {
  const Basis basis = basis_of(*this);
  const Vec3 eye = position();
  const Vec3 offset{point.x - eye.x, point.y - eye.y, point.z - eye.z};
  const double depth = dot(offset, basis.forward);
  if (depth <= 1e-6) return std::nullopt;
  const double scale = height / (2 * std::tan(radians(view_angle) / 2) * depth);
  return Projected{width / 2 + dot(offset, basis.right) * scale, height / 2 - dot(offset, basis.up) * scale, depth,
                   scale};
}

}  // namespace moescope
