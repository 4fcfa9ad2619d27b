#include "views/common/scene3d/offscreen_scene.h"

#include <vtkOpenGLState.h>

#include "views/common/scene3d/guest_render_window.h"
#include "views/common/scene3d/imgui_layer.h"

// After VTK's loader: EGL declares no GL functions, so the two do not meet.
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <vtk_glew.h>

namespace moescope {
namespace {

// A current OpenGL 3.2 core context without any surface, for one scope.
class SurfacelessContext {
 public:
  SurfacelessContext() {
    const auto get_display =
        reinterpret_cast<PFNEGLGETPLATFORMDISPLAYEXTPROC>(eglGetProcAddress("eglGetPlatformDisplayEXT"));
    if (!get_display) return;
    display_ = get_display(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, nullptr);
    if (display_ == EGL_NO_DISPLAY || !eglInitialize(display_, nullptr, nullptr) || !eglBindAPI(EGL_OPENGL_API)) return;
    const EGLint config_wish[] = {EGL_SURFACE_TYPE, 0, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
    EGLConfig config = nullptr;
    EGLint count = 0;
    if (!eglChooseConfig(display_, config_wish, &config, 1, &count) || count < 1) config = EGL_NO_CONFIG_KHR;
    const EGLint wish[] = {
        EGL_CONTEXT_MAJOR_VERSION,           3,       EGL_CONTEXT_MINOR_VERSION, 2, EGL_CONTEXT_OPENGL_PROFILE_MASK,
        EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT, EGL_NONE};
    context_ = eglCreateContext(display_, config, EGL_NO_CONTEXT, wish);
    current_ = context_ != EGL_NO_CONTEXT && eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, context_);
  }
  ~SurfacelessContext() {
    if (display_ == EGL_NO_DISPLAY) return;
    eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    if (context_ != EGL_NO_CONTEXT) eglDestroyContext(display_, context_);
    eglTerminate(display_);
  }
  SurfacelessContext(const SurfacelessContext&) = delete;
  SurfacelessContext& operator=(const SurfacelessContext&) = delete;
  [[nodiscard]] bool current() const { return current_; }

 private:
  EGLDisplay display_ = EGL_NO_DISPLAY;
  EGLContext context_ = EGL_NO_CONTEXT;
  bool current_ = false;
};

// A frame buffer of our own: without a surface there is no default one to draw into.
class PixelBuffer {
 public:
  PixelBuffer(int width, int height) : width_(width), height_(height) {
    glGenTextures(1, &texture_);
    glBindTexture(GL_TEXTURE_2D, texture_);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, width, height, 0, GL_RGBA, GL_UNSIGNED_BYTE, nullptr);
    glGenFramebuffers(1, &buffer_);
    glBindFramebuffer(GL_FRAMEBUFFER, buffer_);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture_, 0);
  }
  ~PixelBuffer() {
    glDeleteFramebuffers(1, &buffer_);
    glDeleteTextures(1, &texture_);
  }
  PixelBuffer(const PixelBuffer&) = delete;
  PixelBuffer& operator=(const PixelBuffer&) = delete;
  [[nodiscard]] unsigned id() const { return buffer_; }
  [[nodiscard]] QImage read() const {
    QImage image(width_, height_, QImage::Format_RGBA8888);
    glPixelStorei(GL_PACK_ALIGNMENT, 1);
    glReadPixels(0, 0, width_, height_, GL_RGBA, GL_UNSIGNED_BYTE, image.bits());
    return image.mirrored().convertToFormat(QImage::Format_RGB32);
  }

 private:
  int width_, height_;
  unsigned texture_ = 0, buffer_ = 0;
};

}  // namespace

Expected<QImage> render_offscreen(SceneRenderer& renderer, const OverlayState& overlay, int width, int height, bool fit,
                                  const std::function<void()>& controls) {
  const SurfacelessContext context;
  if (!context.current()) {
    return fail(ErrorKind::device, "no OpenGL without a display", "EGL surfaceless platform",
                "Install libegl-mesa0 and libgl1-mesa-dri, or run under xvfb-run");
  }
  auto window = vtkSmartPointer<GuestRenderWindow>::New();
  window->prepare();
  window->host_ready();
  window->SetSize(width, height);
  renderer.attach(*window);
  if (fit) renderer.camera.fit(renderer.scene(), static_cast<double>(width) / height);
  renderer.apply_camera();
  window->Render();
  ImGuiLayer imgui;
  imgui.start(renderer.theme(), 1.0);
  QImage image;
  {
    const PixelBuffer pixels(width, height);
    vtkOpenGLState* state = window->GetState();
    state->vtkglBindFramebuffer(GL_DRAW_FRAMEBUFFER, pixels.id());
    window->BlitDisplayFramebuffer(0, 0, 0, width, height, 0, 0, width, height, GL_COLOR_BUFFER_BIT, GL_NEAREST);
    // ImGui lays out its windows in the first frame and shows them in the second; draw both over a clean copy.
    for (int pass = 0; pass < 3; ++pass) {
      glBindFramebuffer(GL_FRAMEBUFFER, pixels.id());
      glViewport(0, 0, width, height);
      if (pass == 2) {
        state->Reset();
        state->vtkglBindFramebuffer(GL_DRAW_FRAMEBUFFER, pixels.id());
        window->BlitDisplayFramebuffer(0, 0, 0, width, height, 0, 0, width, height, GL_COLOR_BUFFER_BIT, GL_NEAREST);
        glBindFramebuffer(GL_FRAMEBUFFER, pixels.id());
      }
      imgui.frame(width, height, 1.0, 1.0 / 60, [&] {
        draw_scene_overlay(renderer, overlay, width, height);
        if (controls) controls();
      });
    }
    image = pixels.read();
  }
  imgui.stop();
  renderer.detach(*window);
  window->Finalize();
  return image;
}

}  // namespace moescope
