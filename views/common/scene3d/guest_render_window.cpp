#include "views/common/scene3d/guest_render_window.h"

#include <vtkObjectFactory.h>
#include <vtkOpenGLState.h>
#include <vtk_glew.h>

namespace moescope {

vtkStandardNewMacro(GuestRenderWindow)

    void GuestRenderWindow::prepare() {
  SetOwnContext(0);
  SetMultiSamples(0);
  SetFrameBlitModeToNoBlit();
  SetReadyForRendering(false);
}

void GuestRenderWindow::host_ready() {
  SetReadyForRendering(true);
  SetMapped(1);
  SetIsCurrent(true);
  OpenGLInitContext();
  GetState()->Reset();
  OpenGLInit();
}

void GuestRenderWindow::OpenGLInitContext() {
  if (Initialized) return;
  glewExperimental = GL_TRUE;
  const GLenum status = glewInit();
  // GLEW also looks for GLX and reports its absence last, when all entry points are loaded already.
  constexpr GLenum no_glx_display = 4;
  if (status != GLEW_OK && status != no_glx_display) {
    vtkErrorMacro("OpenGL entry points could not be loaded: " << status);
    return;
  }
  Initialized = true;
}

}  // namespace moescope
