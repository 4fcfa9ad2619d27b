// StatusBar: the running job with stage, bar, per cent, time left and Cancel; at the right model, compute type, memory
// and renderer. Main thread only.
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QTimer>
#include <QWidget>

#include "views/common/view.h"

namespace moescope {

class StatusBar : public QWidget {
 public:
  StatusBar(ViewContext& context, QWidget* parent);
  void refresh();
  void set_renderer(const QString& text);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  ViewContext& context_;
  QLabel *text_, *percent_, *model_, *type_, *memory_, *renderer_;
  QWidget* bar_;
  QPushButton* cancel_;
  QTimer timer_;
  double fraction_ = -1;
  std::int64_t job_ = 0;
};

// Resident memory of this process in bytes; 0 where it cannot be read.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace moescope
