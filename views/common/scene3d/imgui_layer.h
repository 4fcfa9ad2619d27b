// ImGuiLayer: one Dear ImGui context drawn over a scene, with the program's theme and fonts. Input comes from the host
// widget. Main thread; frame() needs the current OpenGL context that start() had.
#pragma once

#include <QString>
#include <functional>

#include "core/figure/figure.h"

struct ImGuiContext;

namespace moescope {

class ImGuiLayer {
 public:
  ImGuiLayer();
  ~ImGuiLayer();
  ImGuiLayer(const ImGuiLayer&) = delete;
  ImGuiLayer& operator=(const ImGuiLayer&) = delete;

  // Makes fonts and GL objects; `pixel_ratio` sharpens the fonts. Ends with stop(), with the same context current.
  void start(Theme theme, double pixel_ratio);
  void stop();
  [[nodiscard]] bool started() const { return started_; }
  void set_theme(Theme theme);

  // One frame: `draw` calls ImGui. Sizes in logical pixels.
  void frame(double width, double height, double pixel_ratio, double seconds, const std::function<void()>& draw);

  // Input, logical pixels. Presses are latched for a frame, so that a click inside one frame is not lost.
  void mouse_moved(double x, double y);
  void mouse_left();
  void mouse_button(int button, bool down);
  void wheel(double steps);
  void key_text(const QString& text);
  void key(int qt_key, bool down, bool ctrl, bool shift, bool alt);
  [[nodiscard]] bool wants_mouse() const;
  [[nodiscard]] bool wants_keyboard() const;

 private:
  ImGuiContext* context_ = nullptr;  // owned: ImGui has no RAII handle; destroyed in the destructor
  bool started_ = false;
  bool down_[3] = {false, false, false};
  bool latched_[3] = {false, false, false};
};

}  // namespace moescope
