#include "views/common/section.h"

#include <QHBoxLayout>
#include <QVBoxLayout>

#include "views/common/fonts.h"

namespace moescope {

Section::Section(const QString& head, const QString& remark, QWidget* body, QWidget* parent)
    : QWidget(parent), head_(new QLabel(head, this)), remark_(new QLabel(remark, this)) {
  setObjectName(QStringLiteral("panel"));
  setAttribute(Qt::WA_StyledBackground);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 8, 0, 0);
  column->setSpacing(4);
  auto* row = new QHBoxLayout;
  row->setContentsMargins(16, 0, 16, 0);
  head_->setFont(ui_font(12, 600));
  head_->setProperty("role", "head");
  remark_->setFont(ui_font(11));
  remark_->setProperty("role", "hint");
  row->addWidget(head_);
  row->addStretch(1);
  row->addWidget(remark_);
  column->addLayout(row);
  auto* body_row = new QHBoxLayout;
  body_row->setContentsMargins(10, 0, 10, 0);
  body_row->addWidget(body);
  column->addLayout(body_row, 1);
}

}  // namespace moescope
