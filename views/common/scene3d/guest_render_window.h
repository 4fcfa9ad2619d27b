// GuestRenderWindow: a VTK render window inside an OpenGL context that somebody else owns: a QOpenGLWidget, or a
// surfaceless EGL context where there is no display. Main thread.
#pragma once

#include <vtkGenericOpenGLRenderWindow.h>

namespace moescope {

class GuestRenderWindow : public vtkGenericOpenGLRenderWindow {
 public:
  static GuestRenderWindow* New();
  vtkTypeMacro(GuestRenderWindow, vtkGenericOpenGLRenderWindow)

      // Settings that hold for both hosts; call before the first context.
      void prepare();
  // The host's context is current and ready: loads the GL entry points.
  void host_ready();
  // Loads GL entry points; a missing GLX display (EGL) is no failure here.
  void OpenGLInitContext() override;

 protected:
  GuestRenderWindow() = default;
  ~GuestRenderWindow() override = default;

 private:
  GuestRenderWindow(const GuestRenderWindow&) = delete;
  void operator=(const GuestRenderWindow&) = delete;
};

}  // namespace moescope
