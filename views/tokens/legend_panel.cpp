#include "views/tokens/legend_panel.h"

#include <QApplication>
#include <QMouseEvent>
#include <QPainter>
#include <QThreadPool>
#include <QVBoxLayout>

#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/common/theme.h"

namespace moescope {
namespace {
constexpr int legend_row = 24;
constexpr std::size_t most_hits = 500;
}  // namespace

// The rows of the legend, or its colour bar.
class LegendList : public QWidget {
 public:
  using QWidget::QWidget;
  void set_entries(std::vector<LegendEntry> entries) {
    entries_ = std::move(entries);
    setFixedHeight(static_cast<int>(entries_.size()) * legend_row + 2);
    update();
  }
  void set_scale(const QString& low, const QString& high) {
    entries_.clear();
    low_ = low;
    high_ = high;
    setFixedHeight(38);
    update();
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    if (entries_.empty()) {
      const double wide = std::min(width(), 200);
      for (int i = 0; i < wide; ++i) painter.fillRect(QRectF(i, 2, 1.5, 8), color(Paint::of_magnitude(i / (wide - 1))));
      painter.setFont(mono_font(11));
      painter.setPen(color(ColorRole::text_2));
      painter.drawText(QPointF(0, 26), low_);
      painter.drawText(QRectF(0, 14, wide, 16), Qt::AlignRight, high_);
      return;
    }
    int y = 0;
    for (const LegendEntry& entry : entries_) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(color(entry.paint));
      painter.drawRoundedRect(QRectF(0, y + 6, 11, 11), 2, 2);
      painter.setFont(mono_font(12, entry.chip ? 600 : 400));
      const double wide = painter.fontMetrics().horizontalAdvance(entry.name);
      if (entry.chip) {
        painter.setBrush(color(ColorRole::accent));
        painter.drawRoundedRect(QRectF(18, y + 3, wide + 12, 18), 3, 3);
      }
      painter.setPen(color(entry.chip ? ColorRole::text_on_accent : ColorRole::text_1));
      painter.drawText(QRectF(entry.chip ? 24 : 20, y, width() - 130, legend_row), Qt::AlignVCenter, entry.name);
      painter.setFont(mono_font(12));
      painter.setPen(color(ColorRole::text_1));
      painter.drawText(QRectF(0, y, width() - 58, legend_row), Qt::AlignVCenter | Qt::AlignRight, entry.count);
      painter.setPen(color(ColorRole::text_2));
      painter.drawText(QRectF(0, y, width(), legend_row), Qt::AlignVCenter | Qt::AlignRight, entry.share);
      y += legend_row;
    }
  }
  void mousePressEvent(QMouseEvent* event) override {
    const auto i = static_cast<std::size_t>(std::max(0.0, event->position().y()) / legend_row);
    if (i < entries_.size() && entries_[i].choose) {
      const auto choose = entries_[i].choose;
      choose();
    }
  }

 private:
  std::vector<LegendEntry> entries_;
  QString low_, high_;
};

LegendPanel::LegendPanel(ViewContext& context, QWidget* parent)
    : QWidget(parent),
      context_(context),
      title_(new QLabel(this)),
      remark_(new QLabel(this)),
      found_(new QLabel(this)),
      legend_(new LegendList(this)),
      search_(new QLineEdit(this)),
      hits_(new QListWidget(this)) {
  setObjectName(QStringLiteral("panel"));
  setAttribute(Qt::WA_StyledBackground);
  setMinimumWidth(240);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 12, 12, 8);
  column->setSpacing(6);
  auto* head = new QHBoxLayout;
  title_->setFont(ui_font(12, 600));
  remark_->setFont(ui_font(11));
  remark_->setProperty("role", "hint");
  head->addWidget(title_);
  head->addStretch(1);
  head->addWidget(remark_);
  column->addLayout(head);
  column->addWidget(legend_);
  column->addSpacing(10);
  search_->setPlaceholderText(tr("Find in the text"));
  search_->setFont(mono_font(12));
  search_->setClearButtonEnabled(true);
  column->addWidget(search_);
  found_->setFont(ui_font(11));
  found_->setProperty("role", "hint");
  column->addWidget(found_);
  hits_->setFont(mono_font(12));
  hits_->setUniformItemSizes(true);
  hits_->setAccessibleName(tr("Found"));
  column->addWidget(hits_, 1);
  connect(search_, &QLineEdit::textChanged, this, [this] { search(); });
  connect(hits_, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item) context_.run("select.token", {{"token", item->data(Qt::UserRole).toULongLong()}});
  });
}

void LegendPanel::set_legend(const QString& title, const QString& remark, std::vector<LegendEntry> entries) {
  title_->setText(title);
  remark_->setText(remark);
  legend_->set_entries(std::move(entries));
}

void LegendPanel::set_scale(const QString& title, const QString& low, const QString& high) {
  title_->setText(title);
  remark_->clear();
  legend_->set_scale(low, high);
}

void LegendPanel::focus_search() {
  search_->setFocus();
}

void LegendPanel::search_again() {
  if (!search_->text().isEmpty()) search();
}

void LegendPanel::search() {
  cancel_.cancel();
  cancel_ = CancelToken();
  const int mine = ++*generation_;
  const Source* source = context_.workbench.active_trace();
  const std::string text = search_->text().toStdString();
  if (text.empty() || !source || !source->trace) {
    show_hits({});
    found_->clear();
    return;
  }
  QThreadPool::globalInstance()->start([this, mine, generation = generation_, trace = source->trace,
                                        mask = context_.workbench.filter().mask, text, cancel = cancel_] {
    auto hits = std::make_shared<std::vector<TokenHit>>(find_in_tokens(*trace, mask, text, most_hits, cancel));
    QMetaObject::invokeMethod(
        qApp,
        [this, mine, generation, hits] {
          if (*generation != mine) return;
          show_hits(*hits);
          found_->setText(hits->size() >= most_hits ? tr("%1 or more found").arg(most_hits)
                                                    : tr("%n found", nullptr, static_cast<int>(hits->size())));
        },
        Qt::QueuedConnection);
  });
}

void LegendPanel::show_hits(const std::vector<TokenHit>& hits) {
  const QSignalBlocker blocker(hits_);
  hits_->clear();
  std::set<std::uint64_t> framed;
  const Trace* trace = context_.trace();
  for (const TokenHit& hit : hits) {
    if (!trace) break;
    QString words = hit.first > 0 ? visible_token(trace->token_text(hit.first - 1)) : QString();
    for (std::uint64_t t = hit.first; t < hit.first + hit.count; ++t) {
      framed.insert(t);
      words += visible_token(trace->token_text(t));
    }
    if (hit.first + hit.count < trace->token_count()) words += visible_token(trace->token_text(hit.first + hit.count));
    const auto expert = token_expert(*trace, hit.first, row_, 1);
    auto* item =
        new QListWidgetItem(QStringLiteral("%1  %2  %3")
                                .arg(QString::number(hit.first), 7)
                                .arg(words.left(20).leftJustified(20, QLatin1Char(' ')),
                                     expert ? QStringLiteral("E%1").arg(*expert, 2, 10, QLatin1Char('0')) : QString()),
                            hits_);
    item->setData(Qt::UserRole, static_cast<qulonglong>(hit.first));
  }
  if (on_hits_) on_hits_(std::move(framed));
}

}  // namespace moescope
