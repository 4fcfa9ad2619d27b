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

const QRegularExpression& word_end() {
  static const QRegularExpression pattern(QStringLiteral("[A-Za-z_][A-Za-z0-9_.]*$"));
  return pattern;
}
const QRegularExpression& value_end() {  // domain == "co   or   domain in {code, "ar
  static const QRegularExpression pattern(
      QStringLiteral("([A-Za-z_][A-Za-z0-9_.]*)\\s*(?:==|!=|contains|in\\s*\\{[^}]*?)\\s*\"?([A-Za-z0-9_]*)$"));
  return pattern;
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
  edit_->setToolTip(tr("Which tokens and layers count. Enter applies, Esc takes the text back."));
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
  connect(edit_, &QLineEdit::textChanged, this, [this] { highlight(); });
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
    problem_->setText(verdict_);
    problem_->setStyleSheet(
        QStringLiteral("background: %1; border: 1px solid %2; border-radius: 4px; color: %3;")
            .arg(color(ColorRole::raised).name(), color(ColorRole::error).name(), color(ColorRole::text_1).name()));
    problem_->setFixedWidth(std::max(240, width()));
    problem_->adjustSize();
    problem_->move(mapTo(problem_->parentWidget() ? problem_->parentWidget() : this, QPoint(0, height() + 4)));
    problem_->raise();
    problem_->setVisible(edit_->hasFocus());
  } else {
    verdict_ = applied->mask.all() ? tr("%1 tokens").arg(count_text(tokens))
                                   : tr("%1 of %2 tokens").arg(count_text(applied->mask.selected), count_text(tokens));
    count_->setText(verdict_);
    count_->setProperty("role", "name");
    problem_->hide();
  }
  count_->style()->unpolish(count_);
  count_->style()->polish(count_);
  update();
}

void QueryBox::complete() {
  const QString before = edit_->text().left(edit_->cursorPosition());
  QStringList words;
  QString prefix;
  const auto value = value_end().match(before);
  if (value.hasMatch()) {
    for (const FilterTerm& term : terms_) {
      if (QString::fromStdString(term.name) != value.captured(1)) continue;
      for (const std::string& v : term.values) words << QString::fromStdString(v);
    }
    prefix = value.captured(2);
  } else if (const auto word = word_end().match(before); word.hasMatch()) {
    for (const FilterTerm& term : terms_) words << QString::fromStdString(term.name);
    prefix = word.captured(0);
  }
  if (words.isEmpty() || (words.size() == 1 && words[0] == prefix)) {
    completer_->popup()->hide();
    return;
  }
  words_->setStringList(words);
  completer_->setCompletionPrefix(prefix);
  if (completer_->completionCount() == 0) {
    completer_->popup()->hide();
    return;
  }
  const int x = edit_->fontMetrics().horizontalAdvance(before.left(before.size() - prefix.size()));
  const QRect box(std::min(x, std::max(0, edit_->width() - 200)), 4, 200, edit_->height());
  completer_->complete(box);
}

void QueryBox::insert(const QString& word) {
  const int cursor = edit_->cursorPosition();
  QString before = edit_->text().left(cursor);
  const QString after = edit_->text().mid(cursor);
  const auto value = value_end().match(before);
  if (value.hasMatch()) {
    before.truncate(value.capturedStart(2));
    if (before.endsWith(QLatin1Char('"'))) before.chop(1);
    before += QLatin1Char('"') + word + QLatin1Char('"');
  } else {
    before.remove(word_end());
    const bool function = std::any_of(terms_.begin(), terms_.end(), [&](const FilterTerm& term) {
      return term.kind == "function" && QString::fromStdString(term.name) == word;
    });
    before += word + QLatin1Char(function ? '(' : ' ');
  }
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
