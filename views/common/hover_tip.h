// HoverTip: the tooltip of figures. A child of the window, so that it appears in screenshots and never leaves it.
// Main thread only.
#pragma once

#include <QStringList>
#include <QWidget>

namespace moescope {

class HoverTip : public QWidget {
 public:
  explicit HoverTip(QWidget* window);
  // Lines of a pick's tooltip, the first is the head; `hint` is the last line, in the quiet colour.
  void show_text(const QString& text, const QString& hint, QPoint global_at);
  // Puts a box of this size beside `global_at`, inside the window.
  static QPoint place(const QWidget& window, QPoint global_at, QSize size);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QStringList lines_;
  QString hint_;
};

}  // namespace moescope
