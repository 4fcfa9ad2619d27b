// The small picture on the sample's card: a heat map and routes between layers, drawn with the figures' own colours. It
// is an ornament, not data, and says so by having no numbers. Main thread only.
#pragma once

#include <QWidget>

namespace moescope {

class StartArt : public QWidget {
 public:
  using QWidget::QWidget;

 protected:
  void paintEvent(QPaintEvent* event) override;
};

}  // namespace moescope
