// The 28 px title of a dock: name, a quiet remark, float and close. Main thread only.
#pragma once

#include <QDockWidget>
#include <QLabel>

namespace moescope {

class DockTitle : public QWidget {
 public:
  explicit DockTitle(QDockWidget* dock);
  void set_remark(const QString& text) { remark_->setText(text); }

 private:
  QLabel* remark_;
};

// A dock with our title, an object name (for the saved layout) and a body.
[[nodiscard]] QDockWidget* make_dock(const QString& name, const QString& title, QWidget* body, QWidget* parent);

}  // namespace moescope
