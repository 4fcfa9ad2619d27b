#include "views/common/scene3d/vtk_viewport.h"

#include <vtkCallbackCommand.h>
#include <vtkCommand.h>
#include <vtkOpenGLState.h>

#include <QMouseEvent>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QSurfaceFormat>
#include <QTimer>
#include <QWheelEvent>
#include <cmath>

#include "views/common/scene3d/guest_render_window.h"

namespace moescope {
namespace {

int imgui_button(Qt::MouseButton button) {
  if (button == Qt::LeftButton) return 0;
  return button == Qt::RightButton ? 1 : 2;
}

}  // namespace

void VtkViewport::set_default_format() {
  QSurfaceFormat format;
  format.setRenderableType(QSurfaceFormat::OpenGL);
  format.setVersion(3, 2);
  format.setProfile(QSurfaceFormat::CoreProfile);
  format.setSamples(0);
  format.setAlphaBufferSize(0);
  format.setDepthBufferSize(24);
  QSurfaceFormat::setDefaultFormat(format);
}

VtkViewport::VtkViewport(QWidget* parent) : QOpenGLWidget(parent), window_(vtkSmartPointer<GuestRenderWindow>::New()) {
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  setMinimumSize(240, 180);
  window_->prepare();
  renderer_.attach(*window_);
  auto current = vtkSmartPointer<vtkCallbackCommand>::New();
  current->SetClientData(this);
  current->SetCallback(
      [](vtkObject*, unsigned long, void* self, void*) { static_cast<VtkViewport*>(self)->make_vtk_current(); });
  window_->AddObserver(vtkCommand::WindowMakeCurrentEvent, current);
  auto is_current = vtkSmartPointer<vtkCallbackCommand>::New();
  is_current->SetClientData(this);
  is_current->SetCallback([](vtkObject*, unsigned long, void* self, void* answer) {
    auto* widget = static_cast<VtkViewport*>(self);
    *static_cast<bool*>(answer) = widget->context() && QOpenGLContext::currentContext() == widget->context();
  });
  window_->AddObserver(vtkCommand::WindowIsCurrentEvent, is_current);
  clock_.start();
}

VtkViewport::~VtkViewport() {
  // QOpenGLWidget's own destructor announces the context's end after this part is gone.
  if (context()) {
    disconnect(context(), nullptr, this, nullptr);
    makeCurrent();
    release_gl();
    doneCurrent();
  }
  window_->RemoveAllObservers();
  renderer_.detach(*window_);
}

void VtkViewport::make_vtk_current() {
  // makeCurrent() would rebind Qt's frame buffer behind VTK's back, so only the bare context is made current.
  if (context() && QOpenGLContext::currentContext() != context() && surface_) context()->makeCurrent(surface_);
}

void VtkViewport::initializeGL() {
  surface_ = context()->surface();
  connect(context(), &QOpenGLContext::aboutToBeDestroyed, this, [this] {
    makeCurrent();
    release_gl();
    doneCurrent();
  });
  renderer_name_ = QString::fromLatin1(reinterpret_cast<const char*>(context()->functions()->glGetString(GL_RENDERER)));
  window_->host_ready();
  imgui_.start(renderer_.theme(), devicePixelRatioF());
  scene_dirty_ = true;
}

void VtkViewport::release_gl() {
  imgui_.stop();
  window_->Finalize();
  window_->SetReadyForRendering(false);
}

void VtkViewport::set_scene(Scene scene, Theme theme) {
  overlay.hovered = nullptr;
  overlay.hover_text.clear();
  renderer_.set_scene(std::move(scene), theme);
  imgui_.set_theme(theme);
  refresh(true);
}

void VtkViewport::set_route(const TokenRoute* route, bool second_rank) {
  renderer_.set_route(route, second_rank);
  refresh(true);
}

void VtkViewport::fit() {
  wants_fit_ = true;
  refresh(true);
}

void VtkViewport::refresh(bool scene_changed) {
  scene_dirty_ = scene_dirty_ || scene_changed;
  update();
}

void VtkViewport::resizeGL(int, int) {
  scene_dirty_ = true;
}

void VtkViewport::paintGL() {
  const double ratio = devicePixelRatioF();
  const int pixel_width = static_cast<int>(std::lround(width() * ratio));
  const int pixel_height = static_cast<int>(std::lround(height() * ratio));
  if (pixel_width < 1 || pixel_height < 1) return;
  if (wants_fit_ && !renderer_.scene().floors.empty()) {
    renderer_.camera.fit(renderer_.scene(), static_cast<double>(width()) / height());
    wants_fit_ = false;
    scene_dirty_ = true;
  }
  vtkOpenGLState* state = window_->GetState();
  state->Reset();
  state->Push();
  state->vtkglDepthFunc(GL_LEQUAL);
  if (scene_dirty_) {
    QElapsedTimer timer;
    timer.start();
    window_->SetSize(pixel_width, pixel_height);
    renderer_.apply_camera();
    window_->Render();
    context()->functions()->glFinish();
    last_render_ms_ = static_cast<double>(timer.nsecsElapsed()) / 1e6;
    scene_dirty_ = false;
  }
  state->vtkglBindFramebuffer(GL_DRAW_FRAMEBUFFER, defaultFramebufferObject());
  window_->BlitDisplayFramebuffer(0, 0, 0, pixel_width, pixel_height, 0, 0, pixel_width, pixel_height,
                                  GL_COLOR_BUFFER_BIT, GL_NEAREST);
  state->Pop();
  context()->functions()->glBindFramebuffer(GL_FRAMEBUFFER, defaultFramebufferObject());
  context()->functions()->glViewport(0, 0, pixel_width, pixel_height);
  const double seconds = static_cast<double>(clock_.restart()) / 1000.0;
  imgui_.frame(width(), height(), ratio, seconds, [this] {
    draw_scene_overlay(renderer_, overlay, width(), height());
    if (controls_) controls_();
  });
  // Qt blends this buffer over the window: whatever drawing left in its alpha must not let the window shine through.
  QOpenGLFunctions* gl = context()->functions();
  gl->glColorMask(GL_FALSE, GL_FALSE, GL_FALSE, GL_TRUE);
  gl->glClearColor(0, 0, 0, 1);
  gl->glDisable(GL_SCISSOR_TEST);
  gl->glClear(GL_COLOR_BUFFER_BIT);
  gl->glColorMask(GL_TRUE, GL_TRUE, GL_TRUE, GL_TRUE);
  if (frames_left_ > 0) {
    --frames_left_;
    QTimer::singleShot(0, this, [this] { update(); });
  }
}

// ImGui answers input over the next few frames: hover, press, release.
void VtkViewport::keep_painting(int frames) {
  frames_left_ = std::max(frames_left_, frames);
  update();
}

void VtkViewport::mousePressEvent(QMouseEvent* event) {
  imgui_.mouse_moved(event->position().x(), event->position().y());
  imgui_.mouse_button(imgui_button(event->button()), true);
  keep_painting(3);
  press_ = last_ = event->position();
  moved_ = false;
  dragging_ = imgui_.wants_mouse() ? Qt::NoButton : event->button();
}

void VtkViewport::mouseMoveEvent(QMouseEvent* event) {
  const QPointF at = event->position();
  imgui_.mouse_moved(at.x(), at.y());
  keep_painting(2);
  if (dragging_ == Qt::NoButton) {
    hover_at(at);
    return;
  }
  const QPointF step = at - last_;
  last_ = at;
  moved_ = moved_ || (at - press_).manhattanLength() > 3;
  if (!moved_) return;
  const bool pan = dragging_ != Qt::LeftButton || event->modifiers().testFlag(Qt::ShiftModifier);
  if (pan) {
    renderer_.camera.pan(step.x(), step.y(), height());
  } else {
    renderer_.camera.orbit(step.x(), step.y());
  }
  refresh(true);
}

void VtkViewport::mouseReleaseEvent(QMouseEvent* event) {
  imgui_.mouse_button(imgui_button(event->button()), false);
  keep_painting(3);
  const bool click = dragging_ == Qt::LeftButton && !moved_;
  dragging_ = Qt::NoButton;
  if (!click) return;
  const QPointF at = event->position();
  if (const SceneNode* node = renderer_.node_at(at.x(), at.y(), width(), height())) {
    Q_EMIT node_clicked(node->expert, event->modifiers().testFlag(Qt::ShiftModifier));
  } else if (const SceneTube* tube = renderer_.tube_at(at.x(), at.y(), width(), height())) {
    Q_EMIT tube_clicked(tube->link);
  }
}

void VtkViewport::hover_at(QPointF at) {
  const SceneNode* node = imgui_.wants_mouse() ? nullptr : renderer_.node_at(at.x(), at.y(), width(), height());
  const SceneTube* tube = node || imgui_.wants_mouse() ? nullptr : renderer_.tube_at(at.x(), at.y(), width(), height());
  overlay.hovered = node;
  overlay.hover_text = node ? node->tooltip : tube ? tube->tooltip : std::string();
  setCursor(node || tube ? Qt::PointingHandCursor : Qt::ArrowCursor);
}

void VtkViewport::wheelEvent(QWheelEvent* event) {
  const double steps = event->angleDelta().y() / 120.0;
  imgui_.wheel(steps);
  keep_painting(2);
  if (imgui_.wants_mouse()) return;
  renderer_.camera.zoom(steps);
  refresh(true);
}

void VtkViewport::keyPressEvent(QKeyEvent* event) {
  const auto modifiers = event->modifiers();
  imgui_.key(event->key(), true, modifiers.testFlag(Qt::ControlModifier), modifiers.testFlag(Qt::ShiftModifier),
             modifiers.testFlag(Qt::AltModifier));
  if (!event->text().isEmpty() && event->text().at(0).isPrint()) imgui_.key_text(event->text());
  keep_painting(3);
  if (imgui_.wants_keyboard()) return;
  switch (event->key()) {
    case Qt::Key_Left:
      renderer_.camera.orbit(20, 0);
      break;
    case Qt::Key_Right:
      renderer_.camera.orbit(-20, 0);
      break;
    case Qt::Key_Up:
      renderer_.camera.orbit(0, 20);
      break;
    case Qt::Key_Down:
      renderer_.camera.orbit(0, -20);
      break;
    case Qt::Key_Plus:
    case Qt::Key_Equal:
      renderer_.camera.zoom(1);
      break;
    case Qt::Key_Minus:
      renderer_.camera.zoom(-1);
      break;
    case Qt::Key_Home:
      wants_fit_ = true;
      break;
    case Qt::Key_Escape:
      Q_EMIT cleared();
      break;
    default:
      QOpenGLWidget::keyPressEvent(event);
      return;
  }
  refresh(true);
}

void VtkViewport::keyReleaseEvent(QKeyEvent* event) {
  imgui_.key(event->key(), false, false, false, false);
  keep_painting(2);
}

void VtkViewport::leaveEvent(QEvent* event) {
  imgui_.mouse_left();
  overlay.hovered = nullptr;
  overlay.hover_text.clear();
  keep_painting(2);
  QOpenGLWidget::leaveEvent(event);
}

}  // namespace moescope
