// StillViewport: a scene where the platform gives no window with OpenGL (reports and pictures without a display): the
// same renderers and overlay, drawn into an image. Main thread.
#pragma once

#include <QImage>
#include <QWidget>
#include <functional>

#include "views/common/scene3d/scene_overlay.h"
#include "views/common/scene3d/scene_renderer.h"

namespace moescope {

class StillViewport : public QWidget {
  Q_OBJECT
 public:
  using QWidget::QWidget;
  void set_scene(Scene scene, Theme theme);
  void set_route(const TokenRoute* route, bool second_rank);
  void set_controls(std::function<void()> draw) { controls_ = std::move(draw); }
  [[nodiscard]] SceneRenderer& renderer() { return renderer_; }
  OverlayState overlay;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  SceneRenderer renderer_;
  std::function<void()> controls_;
  QImage image_;
  QString message_;  // why there is no picture
};

}  // namespace moescope
