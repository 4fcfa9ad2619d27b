// TokenStrip: a run of tokens under the views: columns as wide as their token, one row per layer, the rank-1 expert
// shaded by its gate weight. Wheel and arrows move along the trace. Main thread only.
#pragma once

#include <QWidget>

#include "views/common/view.h"

namespace moescope {

class DockTitle;
class FigureWidget;

class TokenStrip : public QWidget {
 public:
  TokenStrip(ViewContext& context, QWidget* parent);
  void refresh(Changes changes);
  void set_title(DockTitle* title) { title_ = title; }

 protected:
  void wheelEvent(QWheelEvent* event) override;
  void showEvent(QShowEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void request();
  void draw();
  [[nodiscard]] std::uint64_t window_tokens() const;
  ViewContext& context_;
  FigureWidget* figure_;
  DockTitle* title_ = nullptr;
  ResultPtr routes_;
  std::uint64_t first_ = 0;
};

}  // namespace moescope
