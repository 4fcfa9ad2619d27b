// The pieces that the start page is made of. Main thread only.
#pragma once

#include <QLabel>
#include <QWidget>
#include <cstdint>
#include <functional>

#include "core/figure/figure.h"

namespace moescope {

// Text in a role of the stylesheet: head, name, hint or none.
[[nodiscard]] QLabel* text_label(const QString& text, const QFont& font, const char* role, QWidget* parent);
// An icon that follows the theme.
[[nodiscard]] QWidget* picture(const QString& name, int size, ColorRole role, QWidget* parent);
// A 1 px separator.
[[nodiscard]] QWidget* separator(QWidget* parent);
// Memory that programs may still take, in bytes; 0 where the system does not tell.
[[nodiscard]] std::uint64_t free_memory();

// A framed box that is one big button, also from the keyboard; without `run` only a frame.
class Card : public QWidget {
 public:
  Card(ColorRole border, bool dashed, std::function<void()> run, QWidget* parent);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void enterEvent(QEnterEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  ColorRole border_;
  bool dashed_;
  std::function<void()> run_;
};

}  // namespace moescope
