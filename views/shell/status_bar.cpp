#include "views/shell/status_bar.h"

#include <QFile>
#include <QHBoxLayout>
#include <QLocale>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/common/theme.h"

namespace moescope {

std::uint64_t resident_bytes() {
  QFile file(QStringLiteral("/proc/self/status"));
  if (!file.open(QIODevice::ReadOnly)) return 0;
  const QList<QByteArray> lines = file.readAll().split('\n');
  const auto line = std::find_if(lines.begin(), lines.end(), [](const auto& l) { return l.startsWith("VmRSS:"); });
  return line == lines.end() ? 0 : line->simplified().split(' ').value(1).toULongLong() * 1024;
}

StatusBar::StatusBar(ViewContext& context, QWidget* parent) : QWidget(parent), context_(context) {
  setObjectName(QStringLiteral("status"));
  setAttribute(Qt::WA_StyledBackground);
  setFixedHeight(26);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(12, 1, 12, 0);
  row->setSpacing(10);
  const auto label = [&](const QFont& font) {
    auto* l = new QLabel(this);
    l->setFont(font);
    l->setTextFormat(Qt::PlainText);
    return l;
  };
  text_ = label(ui_font(12));
  bar_ = new QWidget(this);
  bar_->setFixedSize(160, 6);
  percent_ = label(mono_font(12));
  cancel_ = new QPushButton(tr("Cancel"), this);
  cancel_->setFont(ui_font(11));
  cancel_->setFixedHeight(20);
  cancel_->setStyleSheet(QStringLiteral("padding: 0 8px; min-height: 0;"));
  connect(cancel_, &QPushButton::clicked, this, [this] { context_.run("job.cancel", {{"id", job_}}); });
  model_ = label(ui_font(12));
  type_ = label(mono_font(11));
  memory_ = label(mono_font(11));
  memory_->setToolTip(tr("Memory of this program"));
  renderer_ = label(mono_font(11));
  row->addWidget(text_);
  row->addWidget(bar_);
  row->addWidget(percent_);
  row->addWidget(cancel_);
  row->addStretch(1);
  for (QLabel* l : {model_, type_, memory_, renderer_}) row->addWidget(l);
  set_renderer(tr("2-D"));
  timer_.setInterval(500);
  connect(&timer_, &QTimer::timeout, this, [this] { refresh(); });
  timer_.start();
  refresh();
}

void StatusBar::set_renderer(const QString& text) {
  renderer_->setText(text);
}

void StatusBar::refresh() {
  const Workbench& bench = context_.workbench;
  const std::vector<JobStatus> jobs = bench.jobs();
  const auto running = std::find_if(jobs.begin(), jobs.end(), [](const JobStatus& j) {
    return j.state == JobState::running || j.state == JobState::waiting;
  });
  const bool busy = running != jobs.end();
  bar_->setVisible(busy && running->fraction >= 0);
  percent_->setVisible(busy);
  cancel_->setVisible(busy);
  if (busy) {
    job_ = running->id;
    fraction_ = running->fraction;
    const QString stage = QString::fromStdString(running->stage);
    text_->setText(QString::fromStdString(running->title) +
                   (stage.isEmpty() ? QString() : QStringLiteral(" · ") + stage));
    QString numbers = fraction_ >= 0 ? QStringLiteral("%1 %").arg(std::lround(fraction_ * 100)) : QString();
    if (running->seconds_left >= 0) numbers += tr("  %1 s left").arg(std::lround(running->seconds_left));
    percent_->setText(numbers);
  } else {
    fraction_ = -1;
    text_->setText(bench.sources().empty() ? tr("Nothing open") : tr("Ready"));
  }
  const Trace* trace = context_.trace();
  const Source* model = bench.active_checkpoint();
  model_->setText(trace                        ? trace_shape(*trace)
                  : model && model->checkpoint ? checkpoint_shape(*model->checkpoint)
                                               : QString());
  type_->setText(trace ? QString::fromStdString(trace->info->compute_type) : QString());
  type_->setVisible(!type_->text().isEmpty());
  memory_->setText(byte_text(resident_bytes()));
  update();
}

void StatusBar::paintEvent(QPaintEvent* event) {
  QWidget::paintEvent(event);
  QPainter painter(this);
  for (const QLabel* label : {type_, memory_, renderer_}) {
    if (!label->isVisible()) continue;
    painter.fillRect(QRect(label->x() - 6, 7, 1, height() - 13), color(ColorRole::line));
  }
  if (!bar_->isVisible()) return;
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  QRectF box = bar_->geometry();
  painter.setBrush(color(ColorRole::raised));
  painter.drawRoundedRect(box, 3, 3);
  box.setWidth(box.width() * std::clamp(fraction_, 0.0, 1.0));
  painter.setBrush(color(ColorRole::accent));
  painter.drawRoundedRect(box, 3, 3);
}

}  // namespace moescope
