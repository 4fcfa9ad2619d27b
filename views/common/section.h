// Section: a part of a view with a head, a quiet remark at the right and a body below. Main thread only.
#pragma once

#include <QLabel>
#include <QWidget>

namespace moescope {

class Section : public QWidget {
 public:
  Section(const QString& head, const QString& remark, QWidget* body, QWidget* parent);
  void set_head(const QString& text) { head_->setText(text); }
  void set_remark(const QString& text) { remark_->setText(text); }

 private:
  QLabel *head_, *remark_;
};

}  // namespace moescope
