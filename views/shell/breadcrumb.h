// Breadcrumb: trace › filter › selection, each a chip that can be taken away; at the right what undo would take back.
// Main thread only.
#pragma once

#include <QRectF>
#include <QWidget>
#include <functional>
#include <vector>

#include "views/common/view.h"

namespace moescope {

class Breadcrumb : public QWidget {
 public:
  Breadcrumb(ViewContext& context, QWidget* parent);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;

 private:
  enum class Look { plain, outlined, accent };
  struct Chip {
    QString text, tip;
    Look look = Look::plain;
    std::string command;  // what a click runs; empty = nothing
    QRectF box;
  };
  [[nodiscard]] std::vector<Chip> chips() const;
  ViewContext& context_;
  std::vector<Chip> shown_;
};

}  // namespace moescope
