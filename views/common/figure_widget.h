// FigureWidget: shows one Figure and makes it answer. Hover gives a ring and a tooltip, a click selects what the mark
// stands for (Shift adds, Esc clears), arrows and Enter do the same from the keyboard, Ctrl+C copies the tooltip, and
// the context menu copies and saves. Main thread only.
#pragma once

#include <QPixmap>
#include <QPointer>
#include <QPushButton>
#include <QWidget>
#include <functional>
#include <memory>
#include <optional>

#include "core/figure/figure.h"
#include "views/common/view.h"

namespace moescope {

class HoverTip;

class FigureWidget : public QWidget {
 public:
  // Makes the figure for a size in pixels; called again when the widget is resized.
  using Builder = std::function<Figure(double width, double height)>;

  explicit FigureWidget(ViewContext& context, QWidget* parent = nullptr);
  ~FigureWidget() override;

  void set_builder(Builder builder);
  // Shows a sentence in place of a figure: why there is none and what to do.
  void set_message(const QString& head, const QString& advice = {});
  // Offers a button below the message, until there is a figure or another message.
  void set_action(const QString& text, std::function<void()> act);
  // Keeps the last figure but shows that a newer one is being computed.
  void set_waiting(bool waiting);
  [[nodiscard]] bool waiting() const { return waiting_; }
  // What a click does, instead of the selection commands; true = handled.
  void set_on_pick(std::function<bool(const Pick&, bool add)> on_pick) { on_pick_ = std::move(on_pick); }
  // Takes the figure's own height for the layout (inspector sections).
  void set_fits_height(bool fits) { fits_height_ = fits; }

  [[nodiscard]] const Figure* figure() const { return figure_ ? &*figure_ : nullptr; }
  // The pick under the pointer or the keyboard cursor; -1 = none.
  [[nodiscard]] int hovered() const { return hovered_; }
  [[nodiscard]] QString hovered_text() const;
  void choose(int pick, bool add);
  // The figure built at another size, for export.
  [[nodiscard]] std::optional<Figure> built(double width, double height) const;

  [[nodiscard]] QSize sizeHint() const override;

 protected:
  bool event(QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;
  void changeEvent(QEvent* event) override;

 private:
  void rebuild();
  void hover(int pick, QPoint global_at);
  void step(int dx, int dy);
  void place_action();

  ViewContext& context_;
  Builder builder_;
  std::optional<Figure> figure_;
  QPixmap painted_;
  QString message_head_, message_advice_;
  std::function<bool(const Pick&, bool)> on_pick_;
  QPushButton* action_ = nullptr;
  std::function<void()> act_;
  QPointer<HoverTip> tip_;
  int hovered_ = -1;
  bool waiting_ = false, stale_ = false, fits_height_ = false;
};

}  // namespace moescope
