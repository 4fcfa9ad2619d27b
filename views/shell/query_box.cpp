#include "views/shell/query_box.h"

#include <algorithm>

#include <QAbstractItemView>
#include <QApplication>
#include <QHBoxLayout>
#include <QInputMethodEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QRegularExpression>
#include <QTextCharFormat>
#include <QTextLayout>
#include <QThreadPool>

#include "views/common/controls.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/text.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

// Column of an error in the filter, counted in characters from 1; 0 = it names none.
int column_of(const Error& error) {
  static const QRegularExpression pattern(QStringLiteral("column (\\d+)$"));
  const auto match = pattern.match(QString::fromStdString(error.where));
  return match.hasMatch() ? match.captured(1).toInt() : 0;
}

// The word, text or sign of a filter that begins at a column; a single place at its end.
std::pair<int, int> piece_at(const QString& text, int column) {
  static const QRegularExpression pattern(QStringLiteral("\\G(?:\"[^\"]*\"?|'[^']*'?|[\\w.]+|[^\\s\\w])"),
                                          QRegularExpression::UseUnicodePropertiesOption);
  // Columns count characters, positions in a QString count UTF-16 units.
  int from = 0;
  for (int c = 1; c < column && from < text.size(); ++c) from += text[from].isHighSurrogate() ? 2 : 1;
  const auto match = pattern.match(text, from);
  return {from, match.hasMatch() ? static_cast<int>(match.capturedLength()) : 0};
}

}  // namespace

QueryBox::QueryBox(ViewContext& context, QWidget* parent)
    : QWidget(parent),
      context_(context),
      edit_(new QLineEdit(this)),
      count_(new QLabel(this)),
      problem_(new QLabel(parent ? parent->window() : nullptr)),
      clear_(icon_button(QStringLiteral("close"), tr("Clear the filter"), this)),
      completer_(new QCompleter(this)),
      words_(new QStringListModel(this)) {
  setFixedHeight(28);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  setMinimumWidth(240);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(32, 1, 4, 1);
  row->setSpacing(6);
  edit_->setObjectName(QStringLiteral("query"));
  edit_->setFont(mono_font(12.5));
  edit_->setFrame(false);
  edit_->setAccessibleName(tr("Filter"));
  edit_->setToolTip(
      tr("Which tokens and layers count. Enter applies, Esc takes the text back, "
         "Ctrl+Space shows what may come next."));
  edit_->installEventFilter(this);
  count_->setFont(mono_font(12));
  clear_->setFixedSize(22, 22);
  clear_->hide();
  row->addWidget(edit_, 1);
  row->addWidget(count_);
  row->addWidget(clear_);
  problem_->setObjectName(QStringLiteral("problem"));
  problem_->setMargin(8);
  problem_->setWordWrap(true);
  problem_->setTextFormat(Qt::RichText);
  problem_->hide();

  completer_->setModel(words_);
  completer_->setWidget(edit_);
  completer_->setCaseSensitivity(Qt::CaseInsensitive);
  completer_->popup()->setFont(mono_font(12));
  connect(completer_, QOverload<const QString&>::of(&QCompleter::activated), this,
          [this](const QString& word) { insert(word); });
  timer_.setSingleShot(true);
  timer_.setInterval(120);
  connect(&timer_, &QTimer::timeout, this, [this] { count(); });
  connect(edit_, &QLineEdit::textChanged, this, [this] {
    wrong_ = {0, 0};  // until the new text was looked at
    highlight();
  });
  connect(edit_, &QLineEdit::textEdited, this, [this] { edited(); });
  connect(edit_, &QLineEdit::returnPressed, this, [this] { apply(); });
  connect(clear_, &QToolButton::clicked, this, [this] { context_.run("filter.clear"); });
  refresh(~Changes{0});
}

QueryBox::~QueryBox() {
  ++*generation_;
}

void QueryBox::focus() {
  edit_->setFocus(Qt::ShortcutFocusReason);
  edit_->selectAll();
}

void QueryBox::refresh(Changes changes) {
  const Trace* trace = context_.trace();
  if (has(changes, Change::active_trace) || has(changes, Change::sources)) {
    setEnabled(trace != nullptr);
    edit_->setPlaceholderText(trace ? tr("Filter tokens and layers, for example: domain == \"code\" && layer in 2..5")
                                    : tr("Open something to filter its tokens"));
    terms_ = trace ? filter_terms(*trace) : std::vector<FilterTerm>{};
  }
  if (has(changes, Change::active_trace) || has(changes, Change::filter)) {
    ++*generation_;
    timer_.stop();
    const AppliedFilter& filter = context_.workbench.filter();
    edit_->setText(QString::fromStdString(filter.filter.text));
    clear_->setVisible(!filter.filter.text.empty());
    if (trace)
      show_count(filter, trace->token_count());
    else
      count_->clear();
  }
}

void QueryBox::edited() {
  timer_.start();
  complete();
}

void QueryBox::count(bool apply) {
  const Source* source = context_.workbench.active_trace();
  if (!source || !source->trace) return;
  const std::uint64_t mine = ++*generation_;
  QThreadPool::globalInstance()->start([this, mine, apply, generation = generation_, trace = source->trace,
                                        text = edit_->text().trimmed().toStdString()] {
    const auto applied = std::make_shared<const Expected<AppliedFilter>>(apply_filter(*trace, text));
    QMetaObject::invokeMethod(
        qApp,
        [this, mine, apply, generation, applied, trace, text] {
          if (*generation != mine) return;
          // A bad filter is shown where it was typed, with its column, and not in the error bar.
          show_count(*applied, trace->token_count());
          if (apply && *applied) context_.run("filter.set", {{"text", text}});
        },
        Qt::QueuedConnection);
  });
}

void QueryBox::show_count(const Expected<AppliedFilter>& applied, std::size_t tokens) {
  bad_ = !applied.has_value();
  if (bad_) {
    const Error& error = applied.error();
    verdict_ = QString::fromStdString(error.text());
    count_->setText(tr("not a filter"));
    count_->setProperty("role", "error");
    problem_->setText(problem_text(error));
    problem_->setStyleSheet(
        QStringLiteral("background: %1; border: 1px solid %2; border-radius: 4px; color: %3;")
            .arg(color(ColorRole::raised).name(), color(ColorRole::error).name(), color(ColorRole::text_1).name()));
    problem_->setFixedWidth(std::max(240, width()));
    problem_->adjustSize();
    problem_->move(mapTo(problem_->parentWidget() ? problem_->parentWidget() : this, QPoint(0, height() + 4)));
    problem_->raise();
    problem_->setVisible(edit_->hasFocus());
  } else {
    wrong_ = {0, 0};
    verdict_ = applied->mask.all() ? tr("%1 tokens").arg(count_text(tokens))
                                   : tr("%1 of %2 tokens").arg(count_text(applied->mask.selected), count_text(tokens));
    count_->setText(verdict_);
    count_->setProperty("role", "name");
    problem_->hide();
  }
  highlight();
  count_->style()->unpolish(count_);
  count_->style()->polish(count_);
  update();
}

// The place of an error in the text, what is wrong there, and what to do.
QString QueryBox::problem_text(const Error& error) {
  wrong_ = {0, 0};
  const QString text = edit_->text();
  const QString what = QString::fromStdString(error.what).toHtmlEscaped();
  const QString advice = QString::fromStdString(error.advice).toHtmlEscaped();
  QString place;
  if (const int column = column_of(error); column > 0) {
    wrong_ = piece_at(text, column);
    constexpr int around = 48;  // characters of the text that are shown on either side
    const int from = std::max(0, wrong_.first - around);
    const int end = wrong_.first + wrong_.second;
    const QString piece = wrong_.second > 0 ? text.mid(wrong_.first, wrong_.second) : QString(QChar(0x2423));
    place = QStringLiteral(
                "<span style=\"font-family:'%1'\">%2%3<span style=\"color:%4; text-decoration:underline\">%5"
                "</span>%6%7</span> <span style=\"color:%8\">%9</span><br>")
                .arg(mono_family(), from > 0 ? QStringLiteral("…") : QString(),
                     text.mid(from, wrong_.first - from).toHtmlEscaped(), color(ColorRole::error).name(),
                     piece.toHtmlEscaped(), text.mid(end, around).toHtmlEscaped(),
                     end + around < text.size() ? QStringLiteral("…") : QString(), color(ColorRole::text_3).name(),
                     tr("column %1").arg(column));
  }
  return place + what +
         QStringLiteral(".<br><span style=\"color:%1\">%2</span>").arg(color(ColorRole::text_2).name(), advice);
}

void QueryBox::complete() {
  const Trace* trace = context_.trace();
  const QString before = edit_->text().left(edit_->cursorPosition());
  completion_ = complete_filter(before, terms_, trace ? trace->rows().size() : 0);
  if (completion_.words.isEmpty()) {
    completer_->popup()->hide();
    return;
  }
  words_->setStringList(completion_.words);
  completer_->setCompletionPrefix(completion_.prefix);
  const int x = edit_->fontMetrics().horizontalAdvance(before.left(completion_.from));
  const QRect box(std::min(x, std::max(0, edit_->width() - 200)), 4, 200, edit_->height());
  completer_->complete(box);
}

void QueryBox::insert(const QString& word) {
  const int cursor = edit_->cursorPosition();
  QString after = edit_->text().mid(cursor);
  const QString put = insertion_of(completion_, word, terms_);
  if (put.endsWith(QLatin1Char('"')) && after.startsWith(QLatin1Char('"'))) after.remove(0, 1);
  const QString before = edit_->text().left(completion_.from) + put;
  edit_->setText(before + after);
  edit_->setCursorPosition(static_cast<int>(before.size()));
  edited();
}

void QueryBox::apply() {
  completer_->popup()->hide();
  timer_.stop();
  const QString text = edit_->text().trimmed();
  if (text.isEmpty()) {
    context_.run("filter.clear");
    return;
  }
  count(true);
}

bool QueryBox::eventFilter(QObject* object, QEvent* event) {
  // Esc belongs to the box while one types in it, not to "clear the selection".
  if (object == edit_ && event->type() == QEvent::ShortcutOverride &&
      static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
    event->accept();
    return true;
  }
  if (object == edit_ && event->type() == QEvent::KeyPress && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape &&
      !completer_->popup()->isVisible()) {
    problem_->hide();
    edit_->setText(QString::fromStdString(context_.workbench.filter().filter.text));
    if (const Trace* trace = context_.trace()) show_count(context_.workbench.filter(), trace->token_count());
    if (parentWidget()) parentWidget()->setFocus();
    return true;
  }
  if (object == edit_ && event->type() == QEvent::KeyPress && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Space &&
      (static_cast<QKeyEvent*>(event)->modifiers() & Qt::ControlModifier) != 0) {
    complete();
    return true;
  }
  if (event->type() == QEvent::FocusIn && bad_) problem_->show();
  if (event->type() == QEvent::FocusIn || event->type() == QEvent::FocusOut) {
    if (event->type() == QEvent::FocusOut) problem_->hide();
    update();
  }
  return QWidget::eventFilter(object, event);
}

// Names in accent, values on a quiet ground: QLineEdit takes formats only the way input methods send them.
void QueryBox::highlight() {
  static const QRegularExpression parts(
      QStringLiteral("(\"[^\"]*\"?|\\b\\d+(?:\\.\\.\\d*)?\\b)|\\b(in|contains)\\b|([A-Za-z_][A-Za-z0-9_.]*)"));
  QList<QInputMethodEvent::Attribute> attributes;
  auto matches = parts.globalMatch(edit_->text());
  while (matches.hasNext()) {
    const auto match = matches.next();
    QTextCharFormat format;
    if (match.capturedStart(1) >= 0)
      format.setBackground(color(ColorRole::line));
    else if (match.capturedStart(2) >= 0)
      format.setForeground(color(ColorRole::text_2));
    else
      format.setForeground(color(ColorRole::accent));
    attributes << QInputMethodEvent::Attribute(QInputMethodEvent::TextFormat,
                                               static_cast<int>(match.capturedStart()) - edit_->cursorPosition(),
                                               static_cast<int>(match.capturedLength()), format);
  }
  if (bad_ && wrong_.second > 0) {
    QTextCharFormat format;
    format.setUnderlineStyle(QTextCharFormat::SingleUnderline);
    format.setUnderlineColor(color(ColorRole::error));
    format.setForeground(color(ColorRole::error));
    attributes << QInputMethodEvent::Attribute(QInputMethodEvent::TextFormat, wrong_.first - edit_->cursorPosition(),
                                               wrong_.second, format);
  }
  QInputMethodEvent event(QString(), attributes);
  QCoreApplication::sendEvent(edit_, &event);
}

void QueryBox::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setBrush(color(ColorRole::sunken));
  const ColorRole border =
      bad_ ? ColorRole::error : (edit_->hasFocus() ? ColorRole::accent : ColorRole::control_border);
  painter.setPen(QPen(color(border), 1));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  paint_icon(painter, QStringLiteral("filter"), QRectF(10, 6, 16, 16), color(ColorRole::text_2));
}

}  // namespace moescope
