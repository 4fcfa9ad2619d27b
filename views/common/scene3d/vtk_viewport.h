// VtkViewport: a scene with its ImGui overlay in a QOpenGLWidget: orbit (drag), pan (Shift-drag or middle), zoom
// (wheel), pick (click), hover. Main thread. When only the overlay changed, the scene is not rendered again.
#pragma once

#include <vtkSmartPointer.h>

#include <QElapsedTimer>
#include <QOpenGLWidget>
#include <functional>
#include <memory>

#include "views/common/scene3d/imgui_layer.h"
#include "views/common/scene3d/scene_overlay.h"
#include "views/common/scene3d/scene_renderer.h"

class QSurface;

namespace moescope {

class GuestRenderWindow;

class VtkViewport : public QOpenGLWidget {
  Q_OBJECT
 public:
  explicit VtkViewport(QWidget* parent = nullptr);
  ~VtkViewport() override;

  // The format that every QOpenGLWidget of the program needs; set as default before QApplication is made.
  static void set_default_format();

  void set_scene(Scene scene, Theme theme);
  // Follows another token in the same scene.
  void set_route(const TokenRoute* route, bool second_rank);
  // Sees the whole scene again on the next frame.
  void fit();
  [[nodiscard]] SceneRenderer& renderer() { return renderer_; }
  // Draws the ImGui controls of the view; called inside each frame.
  void set_controls(std::function<void()> draw) { controls_ = std::move(draw); }
  OverlayState overlay;
  // Repaints; `scene_changed` also renders the scene again.
  void refresh(bool scene_changed);
  [[nodiscard]] double last_render_ms() const { return last_render_ms_; }
  [[nodiscard]] QString renderer_name() const { return renderer_name_; }

 Q_SIGNALS:
  void node_clicked(moescope::ExpertRef expert, bool add);
  void tube_clicked(moescope::LinkRef link);
  void cleared();

 protected:
  void initializeGL() override;
  void paintGL() override;
  void resizeGL(int width, int height) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void keyReleaseEvent(QKeyEvent* event) override;
  void leaveEvent(QEvent* event) override;

 private:
  void release_gl();
  void make_vtk_current();
  void hover_at(QPointF at);
  void keep_painting(int frames);

  SceneRenderer renderer_;
  ImGuiLayer imgui_;
  vtkSmartPointer<GuestRenderWindow> window_;
  QSurface* surface_ = nullptr;  // Qt's, saved so that VTK can make the context current without rebinding Qt's buffer
  std::function<void()> controls_;
  QElapsedTimer clock_;
  QPointF press_, last_;
  Qt::MouseButton dragging_ = Qt::NoButton;
  bool moved_ = false, scene_dirty_ = true, wants_fit_ = true;
  int frames_left_ = 0;
  double last_render_ms_ = 0;
  QString renderer_name_;
};

}  // namespace moescope
