// Routes: the tower of layers with aggregated routes and the followed token's way, in a VTK scene with an ImGui panel
// and a playback bar. Shows any trace with expert ids. Main thread.
#pragma once

#include <QTimer>
#include <memory>
#include <optional>

#include "views/common/view.h"
#include "views/routes/routes_controls.h"

class QStackedLayout;
class QLabel;

namespace moescope {

class PlaybackBar;
class StillViewport;
class ViewHeader;
class VtkViewport;

class RoutesView : public View {
  Q_OBJECT
 public:
  explicit RoutesView(ViewContext& context);
  ~RoutesView() override;

  [[nodiscard]] bool pending() const override;
  [[nodiscard]] QImage picture(double scale) override;
  // Turns the tower once by `frames` steps and gives the median time of a frame in milliseconds.
  [[nodiscard]] double measure_orbit(int frames);

 protected:
  void changed(Changes changes) override;

 private:
  void read_options();
  void store_options();
  void request();
  void rebuild();
  // Shows the current token in the scene that is built already.
  void follow();
  [[nodiscard]] std::optional<TokenRoute> current_route();
  void draw_controls();
  void act(RoutesAction action);
  void select_token(std::uint64_t token);
  void advance();
  void set_playing(bool playing);
  void show_message(const QString& text);
  [[nodiscard]] std::optional<std::uint64_t> current_token() const;

  RoutesControls controls_, stored_;
  ResultPtr result_;
  nlohmann::json asked_;  // parameters of the last request
  Selection built_for_;   // whose experts and link the scene has marked
  bool waiting_ = false, moving_ = false;
  std::string error_;
  std::optional<std::uint64_t> playing_token_;  // shown while playing, before it becomes the selection
  VtkViewport* viewport_ = nullptr;             // exactly one of these two
  StillViewport* still_ = nullptr;
  ViewHeader* header_ = nullptr;
  PlaybackBar* playback_ = nullptr;
  QLabel* message_ = nullptr;
  QStackedLayout* stack_ = nullptr;
  QTimer play_timer_, spin_timer_;
};

// What the program must do before it makes its QApplication, so that scenes can be drawn: the OpenGL format.
void prepare_scene_rendering();

[[nodiscard]] ViewSpec routes_view_spec();

}  // namespace moescope
