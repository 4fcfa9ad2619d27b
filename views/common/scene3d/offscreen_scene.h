// Renders a scene with its overlay into an image where there is no display: a surfaceless EGL context, the same VTK
// renderers and the same ImGui overlay as on screen. Main thread.
#pragma once

#include <QImage>
#include <functional>

#include "core/base/error.h"
#include "views/common/scene3d/scene_overlay.h"
#include "views/common/scene3d/scene_renderer.h"

namespace moescope {

// Error (device): EGL gives no surfaceless context. The camera of `renderer` is fitted when `fit`.
[[nodiscard]] Expected<QImage> render_offscreen(SceneRenderer& renderer, const OverlayState& overlay, int width,
                                                int height, bool fit, const std::function<void()>& controls);

}  // namespace moescope
