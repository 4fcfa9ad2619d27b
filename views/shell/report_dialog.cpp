#include "views/shell/report_dialog.h"

#include <QApplication>
#include <QCheckBox>
#include <QDate>
#include <QDialog>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QLabel>
#include <QLineEdit>
#include <QPointer>
#include <QPushButton>
#include <QScrollArea>
#include <QThreadPool>
#include <QTimer>
#include <QVBoxLayout>

#include "core/report/report.h"
#include "views/common/fonts.h"
#include "views/common/report_painter.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

constexpr int page_pixels = 560, preview_pages = 12;

// Sections with check boxes at the left, the pages as they will be at the right.
class ReportDialog : public QDialog {
 public:
  ReportDialog(ViewContext& context, QWidget& window) : QDialog(&window), context_(context) {
    setWindowTitle(tr("Export a report"));
    setAttribute(Qt::WA_DeleteOnClose);
    resize(980, 720);
    auto* row = new QHBoxLayout(this);
    auto* left = new QVBoxLayout;
    row->addLayout(left);
    auto* head = new QLabel(tr("Sections"), this);
    head->setFont(ui_font(12, 600));
    left->addWidget(head);
    for (const ReportSectionInfo& info : report_sections()) {
      auto* box = new QCheckBox(QString::fromStdString(info.title), this);
      box->setChecked(true);
      box->setToolTip(QString::fromStdString(info.help));
      connect(box, &QCheckBox::toggled, this, [this] { timer_.start(); });
      left->addWidget(box);
      boxes_.emplace_back(info.id, box);
    }
    left->addSpacing(12);
    auto* title_label = new QLabel(tr("Title"), this);
    title_label->setFont(ui_font(12, 600));
    left->addWidget(title_label);
    title_ = new QLineEdit(this);
    title_->setPlaceholderText(tr("from the trace"));
    title_->setFixedWidth(250);
    connect(title_, &QLineEdit::textChanged, this, [this] { timer_.start(); });
    left->addWidget(title_);
    left->addStretch(1);
    state_ = new QLabel(this);
    state_->setWordWrap(true);
    state_->setFixedWidth(250);
    left->addWidget(state_);
    save_ = new QPushButton(tr("Save as HTML or PDF…"), this);
    save_->setProperty("primary", true);
    connect(save_, &QPushButton::clicked, this, [this] { save(); });
    left->addWidget(save_);
    auto* close = new QPushButton(tr("Close"), this);
    connect(close, &QPushButton::clicked, this, &QDialog::reject);
    left->addWidget(close);
    auto* area = new QScrollArea(this);
    area->setWidgetResizable(true);
    pages_ = new QWidget(area);
    pages_column_ = new QVBoxLayout(pages_);
    pages_column_->setSpacing(16);
    area->setWidget(pages_);
    row->addWidget(area, 1);
    timer_.setSingleShot(true);
    timer_.setInterval(250);
    connect(&timer_, &QTimer::timeout, this, [this] { preview(); });
    preview();
  }
  ~ReportDialog() override { work_.cancel.cancel(); }

 private:
  [[nodiscard]] ReportRequest request() const {
    ReportRequest request;
    request.title = title_->text().toStdString();
    request.date =
        QLocale(QLocale::English).toString(QDate::currentDate(), QStringLiteral("d MMMM yyyy")).toStdString();
    for (const Annotation& note : context_.workbench.annotations()) request.notes.push_back({note.anchor, note.text});
    for (const auto& [id, box] : boxes_)
      if (box->isChecked()) request.sections.push_back(id);
    return request;
  }

  // Built on a pool thread; a newer one makes an older one stale.
  void preview() {
    const Source* source = context_.workbench.active_trace();
    if (!source || !source->trace) return;
    work_.cancel.cancel();
    work_ = WorkContext{};
    const int mine = ++generation_;
    state_->setText(tr("Computing…"));
    save_->setEnabled(false);
    std::vector<ReportSource> sources = {{source->name, *source->trace, context_.workbench.filter()}};
    QThreadPool::globalInstance()->start(
        [self = QPointer<ReportDialog>(this), sources = std::move(sources), wanted = request(), work = work_, mine] {
          auto report = std::make_shared<const Expected<Report>>(make_report(sources, wanted, work));
          QMetaObject::invokeMethod(
              qApp,
              [self, report, mine] {
                if (self && self->generation_ == mine) self->arrived(*report);
              },
              Qt::QueuedConnection);
        });
  }

  void arrived(const Expected<Report>& report) {
    while (QLayoutItem* item = pages_column_->takeAt(0)) {
      delete item->widget();
      delete item;
    }
    if (!report) {
      state_->setText(QString::fromStdString(report.error().text()));
      return;
    }
    report_ = *report;
    const QList<QImage> pages = report_pages(report_, page_pixels, preview_pages);
    for (const QImage& page : pages) {
      auto* label = new QLabel(pages_);
      label->setPixmap(QPixmap::fromImage(page));
      label->setAlignment(Qt::AlignHCenter);
      pages_column_->addWidget(label);
    }
    pages_column_->addStretch(1);
    state_->setText(pages.size() < preview_pages ? tr("%n page(s)", nullptr, static_cast<int>(pages.size()))
                                                 : tr("the first %1 pages").arg(preview_pages));
    save_->setEnabled(true);
  }

  void save() {
    QString chosen;
    QString path = QFileDialog::getSaveFileName(this, tr("Save the report"), QStringLiteral("report.html"),
                                                tr("Web page (*.html);;PDF (*.pdf)"), &chosen);
    if (path.isEmpty()) return;
    if (!path.contains(QLatin1Char('.')))
      path += chosen.contains(QLatin1String("pdf")) ? QStringLiteral(".pdf") : QStringLiteral(".html");
    if (const auto saved = save_report(report_, path); !saved) {
      context_.show_error(saved.error());
      return;
    }
    state_->setText(tr("Saved to %1").arg(path));
  }

  ViewContext& context_;
  std::vector<std::pair<std::string, QCheckBox*>> boxes_;
  QLineEdit* title_ = nullptr;
  QLabel* state_ = nullptr;
  QPushButton* save_ = nullptr;
  QWidget* pages_ = nullptr;
  QVBoxLayout* pages_column_ = nullptr;
  QTimer timer_;
  WorkContext work_;
  Report report_;
  int generation_ = 0;
};

}  // namespace

void show_report_dialog(ViewContext& context, QWidget& window) {
  (new ReportDialog(context, window))->show();
}

}  // namespace moescope
