#include "views/shell/palette.h"

#include <QKeyEvent>
#include <QPainter>
#include <QRegularExpression>
#include <QStyledItemDelegate>
#include <QVBoxLayout>

#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/shell/command_menu.h"

namespace moescope {
namespace {

constexpr int entry_height = 40;

class EntryDelegate : public QStyledItemDelegate {
 public:
  explicit EntryDelegate(const std::vector<Palette::Entry>& entries, QObject* parent)
      : QStyledItemDelegate(parent), entries_(entries) {}
  [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override {
    return {400, entry_height};
  }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    if (index.row() >= static_cast<int>(entries_.size())) return;
    const Palette::Entry& entry = entries_[static_cast<std::size_t>(index.row())];
    const QRect box = option.rect;
    if ((option.state & QStyle::State_Selected) != 0) painter->fillRect(box, color(ColorRole::accent_wash));
    const bool can = entry.reason.isEmpty();
    paint_icon(*painter, entry.icon, QRectF(box.left() + 12, box.top() + 12, 16, 16),
               color(ColorRole::text_2, can ? 1 : 0.5));
    painter->setFont(ui_font(13, 500));
    painter->setPen(color(can ? ColorRole::text_1 : ColorRole::text_3));
    painter->drawText(box.adjusted(40, 4, -110, -20), Qt::AlignVCenter, entry.title);
    painter->setFont(ui_font(11));
    painter->setPen(color(can ? ColorRole::text_2 : ColorRole::text_3));
    painter->drawText(
        box.adjusted(40, 21, -16, -4), Qt::AlignVCenter,
        painter->fontMetrics().elidedText(can ? entry.help : entry.reason, Qt::ElideRight, box.width() - 56));
    painter->setFont(mono_font(11));
    painter->drawText(box.adjusted(0, 4, -14, -20), Qt::AlignVCenter | Qt::AlignRight, entry.shortcut);
  }

 private:
  const std::vector<Palette::Entry>& entries_;
};

}  // namespace

Palette::Palette(ViewContext& context, QWidget* window)
    : QWidget(window), context_(context), edit_(new QLineEdit(this)), list_(new QListWidget(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(1, 1, 1, 1);
  column->setSpacing(0);
  edit_->setPlaceholderText(tr("A command, an expert (L3 E4) or a token (token 106)"));
  edit_->setFixedHeight(40);
  edit_->setFont(ui_font(14));
  edit_->setStyleSheet(QStringLiteral("border: none; padding: 0 14px; background: transparent;"));
  edit_->installEventFilter(this);
  list_->setItemDelegate(new EntryDelegate(shown_, list_));
  list_->setFocusPolicy(Qt::NoFocus);
  list_->setUniformItemSizes(true);
  list_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  column->addWidget(edit_);
  column->addWidget(list_);
  connect(edit_, &QLineEdit::textChanged, this, [this] { refill(); });
  connect(list_, &QListWidget::itemClicked, this, [this] { run(list_->currentRow()); });
  hide();
}

std::vector<Palette::Entry> Palette::entries(const QString& text) const {
  std::vector<Entry> result;
  const Trace* trace = context_.trace();
  static const QRegularExpression expert_pattern(QStringLiteral("^\\s*[lL]\\s*(\\d+)[\\s·.:]*[eE]\\s*(\\d+)\\s*$"));
  static const QRegularExpression token_pattern(QStringLiteral("^\\s*(?:token|t)\\s+([\\d,]+)\\s*$"),
                                                QRegularExpression::CaseInsensitiveOption);
  if (const auto match = expert_pattern.match(text); match.hasMatch() && trace) {
    const int layer = match.captured(1).toInt();
    const unsigned expert = match.captured(2).toUInt();
    const auto& rows = trace->rows();
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (rows[row].layer != layer || expert >= rows[row].experts) continue;
      result.push_back({tr("Select %1").arg(expert_text(*trace, {static_cast<std::uint32_t>(row), expert})),
                        tr("Show this expert in every view"),
                        {},
                        {},
                        QStringLiteral("locate"),
                        [this, row, expert] {
                          context_.run("select.expert", {{"row", row}, {"expert", expert}, {"add", false}});
                        }});
    }
  }
  if (const auto match = token_pattern.match(text); match.hasMatch() && trace) {
    const qulonglong token = match.captured(1).remove(QLatin1Char(',')).toULongLong();
    if (token < trace->token_count())
      result.push_back({tr("Select token %1: %2").arg(count_text(token), visible_token(trace->token_text(token))),
                        tr("Show this token in every view"),
                        {},
                        {},
                        QStringLiteral("locate"),
                        [this, token] {
                          context_.run("select.token", {{"token", token}});
                        }});
  }
  const CommandRegistry& registry = context_.workbench.commands();
  for (const CommandSpec* spec : registry.search(text.trimmed().toStdString())) {
    const QString id = QString::fromStdString(spec->id);
    QString title = QString::fromStdString(spec->title);
    if (!spec->menu.empty())
      title = QString::fromStdString(spec->menu).section(QLatin1Char('/'), -1) + QStringLiteral(": ") + title;
    result.push_back({title, QString::fromStdString(spec->help), QString::fromStdString(spec->shortcut),
                      unavailable_reason(*spec), QString::fromStdString(spec->icon),
                      [this, id] { context_.invoke(id); }});
  }
  return result;
}

void Palette::open() {
  const int wide = std::min(640, parentWidget()->width() - 40);
  resize(wide, std::min(12 * entry_height + 44, parentWidget()->height() - 120));
  move((parentWidget()->width() - wide) / 2, 76);
  edit_->clear();
  refill();
  raise();
  show();
  edit_->setFocus();
}

void Palette::refill() {
  shown_ = entries(edit_->text());
  list_->clear();
  for (const Entry& entry : shown_) {
    auto* item = new QListWidgetItem(entry.title, list_);
    item->setData(Qt::AccessibleDescriptionRole, entry.help);
  }
  if (!shown_.empty()) list_->setCurrentRow(0);
}

void Palette::run(int index) {
  if (index < 0 || index >= static_cast<int>(shown_.size())) return;
  const auto action = shown_[static_cast<std::size_t>(index)].run;
  hide();
  parentWidget()->setFocus();
  action();
}

bool Palette::eventFilter(QObject* object, QEvent* event) {
  if (object == edit_ && event->type() == QEvent::ShortcutOverride &&
      static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
    event->accept();
    return true;
  }
  if (object == edit_ && event->type() == QEvent::FocusOut) hide();
  if (object != edit_ || event->type() != QEvent::KeyPress) return QWidget::eventFilter(object, event);
  const auto* key = static_cast<QKeyEvent*>(event);
  const int count = list_->count();
  switch (key->key()) {
    case Qt::Key_Down:
      if (count > 0) list_->setCurrentRow((list_->currentRow() + 1) % count);
      return true;
    case Qt::Key_Up:
      if (count > 0) list_->setCurrentRow((list_->currentRow() + count - 1) % count);
      return true;
    case Qt::Key_Return:
    case Qt::Key_Enter:
      run(list_->currentRow());
      return true;
    case Qt::Key_Escape:
      hide();
      parentWidget()->setFocus();
      return true;
    default:
      return false;
  }
}

void Palette::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), color(ColorRole::panel));
  painter.setPen(color(ColorRole::accent));
  painter.drawRect(rect().adjusted(0, 0, -1, -1));
  painter.setPen(color(ColorRole::line));
  painter.drawLine(1, 41, width() - 2, 41);
}

}  // namespace moescope
