#include "views/shell/error_bar.h"

#include <QApplication>
#include <QClipboard>
#include <QDialog>
#include <QGridLayout>
#include <QHeaderView>
#include <QPainter>
#include <QPushButton>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "views/common/controls.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {
namespace {
constexpr std::size_t log_limit = 1000;
}

ErrorBar::ErrorBar(QWidget* parent)
    : QWidget(parent), what_(new QLabel(this)), where_(new QLabel(this)), advice_(new QLabel(this)) {
  setObjectName(QStringLiteral("error_bar"));
  setAttribute(Qt::WA_StyledBackground);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(44, 8, 10, 8);
  grid->setHorizontalSpacing(10);
  grid->setVerticalSpacing(2);
  for (QLabel* label : {what_, where_, advice_}) {
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    label->setTextFormat(Qt::PlainText);
  }
  what_->setFont(ui_font(13, 600));
  what_->setProperty("role", "head");
  where_->setFont(mono_font(12));
  grid->addWidget(what_, 0, 0);
  grid->addWidget(where_, 1, 0);
  grid->addWidget(advice_, 2, 0);
  grid->setColumnStretch(0, 1);
  auto* copy = icon_button(QStringLiteral("copy"), tr("Copy the error"), this);
  connect(copy, &QToolButton::clicked, this, [this] {
    if (!log_.empty()) QApplication::clipboard()->setText(QString::fromStdString(log_.back().error.text()));
  });
  auto* list = icon_button(QStringLiteral("log"), tr("All errors so far"), this);
  connect(list, &QToolButton::clicked, this, [this] { show_log(); });
  auto* close = icon_button(QStringLiteral("close"), tr("Dismiss"), this);
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  int column = 1;
  for (QToolButton* button : {copy, list, close}) grid->addWidget(button, 0, column++, 2, 1, Qt::AlignTop);
  hide();
}

void ErrorBar::show_error(const Error& error) {
  log_.push_back({QDateTime::currentDateTime(), error});
  if (log_.size() > log_limit) log_.erase(log_.begin());
  QString what = QString::fromStdString(error.what);
  if (!what.isEmpty()) what[0] = what[0].toUpper();
  what_->setText(what);
  where_->setText(QString::fromStdString(error.where));
  where_->setVisible(!error.where.empty());
  advice_->setText(QString::fromStdString(error.advice));
  advice_->setVisible(!error.advice.empty());
  setAccessibleName(QString::fromStdString(error.text()));
  show();
  update();
}

void ErrorBar::paintEvent(QPaintEvent* event) {
  QWidget::paintEvent(event);
  QPainter painter(this);
  painter.fillRect(QRect(0, 0, 3, height()), color(ColorRole::error));
  paint_icon(painter, QStringLiteral("error"), QRectF(16, 9, 18, 18), color(ColorRole::error));
}

void ErrorBar::show_log() {
  auto* dialog = new QDialog(window());
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setWindowTitle(tr("Errors so far"));
  dialog->resize(820, 420);
  auto* column = new QVBoxLayout(dialog);
  auto* list = new QTreeWidget(dialog);
  list->setHeaderLabels({tr("Time"), tr("What"), tr("Where"), tr("What to do")});
  list->setRootIsDecorated(false);
  list->setWordWrap(true);
  for (auto entry = log_.rbegin(); entry != log_.rend(); ++entry) {
    auto* item = new QTreeWidgetItem(
        list, {entry->time.toString(QStringLiteral("HH:mm:ss")), QString::fromStdString(entry->error.what),
               QString::fromStdString(entry->error.where), QString::fromStdString(entry->error.advice)});
    item->setFont(2, mono_font(12));
    for (int i = 1; i < 4; ++i) item->setToolTip(i, item->text(i));
  }
  if (log_.empty()) new QTreeWidgetItem(list, {QString(), tr("No errors.")});
  list->header()->resizeSection(1, 280);
  list->header()->resizeSection(2, 240);
  column->addWidget(list);
  auto* close = new QPushButton(tr("Close"), dialog);
  connect(close, &QPushButton::clicked, dialog, &QDialog::accept);
  column->addWidget(close, 0, Qt::AlignRight);
  dialog->show();
}

}  // namespace moescope
