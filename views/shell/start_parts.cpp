#include "views/shell/start_parts.h"

#include <QFile>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

class Picture : public QWidget {
 public:
  Picture(QString name, int size, ColorRole role, QWidget* parent)
      : QWidget(parent), name_(std::move(name)), role_(role) {
    setFixedSize(size, size);
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    paint_icon(painter, name_, rect(), color(role_));
  }

 private:
  QString name_;
  ColorRole role_;
};

class Line : public QWidget {
 public:
  explicit Line(QWidget* parent) : QWidget(parent) { setFixedHeight(1); }

 protected:
  void paintEvent(QPaintEvent*) override { QPainter(this).fillRect(rect(), color(ColorRole::line)); }
};

}  // namespace

QLabel* text_label(const QString& text, const QFont& font, const char* role, QWidget* parent) {
  auto* l = new QLabel(text, parent);
  l->setFont(font);
  l->setProperty("role", role);
  l->setWordWrap(true);
  l->setTextFormat(Qt::PlainText);
  return l;
}

QWidget* picture(const QString& name, int size, ColorRole role, QWidget* parent) {
  return new Picture(name, size, role, parent);
}

QWidget* separator(QWidget* parent) {
  return new Line(parent);
}

std::uint64_t free_memory() {
  QFile file(QStringLiteral("/proc/meminfo"));
  if (!file.open(QIODevice::ReadOnly)) return 0;
  for (const QByteArray& line : file.readAll().split('\n'))
    if (line.startsWith("MemAvailable:")) return line.simplified().split(' ').value(1).toULongLong() * 1024;
  return 0;
}

Card::Card(ColorRole border, bool dashed, std::function<void()> run, QWidget* parent)
    : QWidget(parent), border_(border), dashed_(dashed), run_(std::move(run)) {
  if (!run_) return;
  setCursor(Qt::PointingHandCursor);
  setFocusPolicy(Qt::TabFocus);
}

void Card::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const bool lit = hasFocus() || (run_ && underMouse());
  QPen pen(color(lit ? ColorRole::accent : border_), 1);
  if (dashed_) pen.setStyle(Qt::DashLine);
  painter.setPen(pen);
  painter.setBrush(dashed_ ? QColor(Qt::transparent) : color(ColorRole::panel));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
}

void Card::enterEvent(QEnterEvent*) {
  update();
}
void Card::leaveEvent(QEvent*) {
  update();
}

void Card::mouseReleaseEvent(QMouseEvent* event) {
  if (run_ && rect().contains(event->position().toPoint())) run_();
}

void Card::keyPressEvent(QKeyEvent* event) {
  if (run_ && (event->key() == Qt::Key_Return || event->key() == Qt::Key_Space)) return run_();
  QWidget::keyPressEvent(event);
}

}  // namespace moescope
