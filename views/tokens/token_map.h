// TokenMap: the whole trace or a stretch of it below the text, as layers or as the experts of one layer. The wheel
// zooms about the pointer, a drag moves, a click selects a token, a double click shows all; + - 0 and Page Up and Down
// do the same from the keyboard. Asks only for as many cells as it has pixels, and draws what it has until they come.
// Main thread only.
#pragma once

#include <QTimer>
#include <functional>
#include <optional>
#include <vector>

#include "core/figure/token_map_figure.h"
#include "views/common/figure_widget.h"

namespace moescope {

class TokenMap : public FigureWidget {
 public:
  TokenMap(ViewContext& context, QWidget* parent);

  // Another trace or filter: everything is asked for anew.
  void set_trace(const Trace& trace);
  // The layer whose experts are shown, and their colours where single tokens are drawn.
  void set_row(std::uint32_t row, std::vector<int> categories);
  // The part of the trace that the text shows. A map of a stretch follows it.
  void set_visible(std::uint64_t first, std::uint64_t count);
  // Takes over options that were changed by a command.
  void sync_options();
  void set_selection(const Selection& selection);
  void redraw();
  // Told what is shown, in words.
  void set_on_remark(std::function<void(const QString&)> on_remark) { on_remark_ = std::move(on_remark); }

  [[nodiscard]] bool pending() const { return requested_ || waiting_for_result_; }
  [[nodiscard]] TokenRange range() const { return range_; }
  [[nodiscard]] bool shows_experts() const { return experts_; }
  // `keep`: in the session, as the user's choice.
  void show_range(TokenRange range, bool keep = true);

 protected:
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  // Whether every token has a column of its own with its expert.
  [[nodiscard]] bool exact() const;
  [[nodiscard]] double part_at(double x) const;  // 0..1 of the range
  void request_soon();
  void request();
  void draw_exact(const Trace& trace);

  ViewContext& context_;
  std::function<void(const QString&)> on_remark_;
  TokenRange range_, visible_;
  std::uint64_t total_ = 0;
  std::uint32_t row_ = 0;
  std::vector<int> categories_;
  bool experts_ = false;
  Selection selection_;
  ResultPtr result_;
  nlohmann::json stored_;  // the range as the session has it
  bool requested_ = false, waiting_for_result_ = false;
  QTimer store_;  // writes the range to the session when it has rested
  std::optional<QPointF> pressed_;
  TokenRange pressed_range_;
  bool dragged_ = false;
};

}  // namespace moescope
