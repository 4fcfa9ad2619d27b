// Palette (Ctrl+K): every command by name, best match first, with shortcut and the reason when it cannot run; and
// places: "L3 E4" selects an expert, "token 106" a token, a layer's name its row. Main thread only.
#pragma once

#include <QLineEdit>
#include <QListWidget>
#include <QWidget>
#include <vector>

#include "views/common/view.h"

namespace moescope {

class Palette : public QWidget {
 public:
  struct Entry {
    QString title, help, shortcut, reason;  // reason: why it is greyed
    QString icon;
    std::function<void()> run;
  };

  Palette(ViewContext& context, QWidget* window);
  void open();
  // What is offered for a text; the widget shows exactly this.
  [[nodiscard]] std::vector<Entry> entries(const QString& text) const;

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;

 private:
  void refill();
  void run(int index);
  ViewContext& context_;
  QLineEdit* edit_;
  QListWidget* list_;
  std::vector<Entry> shown_;
};

}  // namespace moescope
