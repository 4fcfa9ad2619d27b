#include "views/shell/dock_title.h"

#include <QHBoxLayout>

#include "views/common/controls.h"
#include "views/common/fonts.h"

namespace moescope {

DockTitle::DockTitle(QDockWidget* dock) : QWidget(dock), remark_(new QLabel(this)) {
  setObjectName(QStringLiteral("dock_title"));
  setAttribute(Qt::WA_StyledBackground);
  setFixedHeight(28);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(12, 0, 6, 0);
  row->setSpacing(8);
  auto* name = new QLabel(dock->windowTitle(), this);
  name->setFont(ui_font(12, 600));
  row->addWidget(name);
  remark_->setFont(ui_font(12));
  remark_->setProperty("role", "hint");
  remark_->setMinimumWidth(0);
  remark_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  row->addWidget(remark_, 1);
  auto* floating = icon_button(QStringLiteral("float"), tr("Float this panel, or dock it again"), this);
  floating->setFixedSize(22, 22);
  connect(floating, &QToolButton::clicked, dock, [dock] { dock->setFloating(!dock->isFloating()); });
  row->addWidget(floating);
  auto* close = icon_button(QStringLiteral("close"), tr("Close this panel"), this);
  close->setFixedSize(22, 22);
  connect(close, &QToolButton::clicked, dock, &QDockWidget::close);
  row->addWidget(close);
}

QDockWidget* make_dock(const QString& name, const QString& title, QWidget* body, QWidget* parent) {
  auto* dock = new QDockWidget(title, parent);
  dock->setObjectName(name);
  dock->setTitleBarWidget(new DockTitle(dock));
  dock->setWidget(body);
  return dock;
}

}  // namespace moescope
