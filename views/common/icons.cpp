#include "views/common/icons.h"

#include <QFile>
#include <QHash>
#include <QIconEngine>
#include <QSvgRenderer>
#include <algorithm>

#include "views/common/theme.h"

namespace moescope {
namespace {

// Commands name icons as the Breeze theme does; several of those share one drawing here.
QString file_of(const QString& name) {
  static const QHash<QString, QString> names = {{QStringLiteral("document-open"), QStringLiteral("open")},
                                                {QStringLiteral("document-open-folder"), QStringLiteral("session")},
                                                {QStringLiteral("folder-open"), QStringLiteral("open")},
                                                {QStringLiteral("document-new"), QStringLiteral("add")},
                                                {QStringLiteral("document-save-as"), QStringLiteral("save")},
                                                {QStringLiteral("document-edit"), QStringLiteral("edit")},
                                                {QStringLiteral("document-revert"), QStringLiteral("undo")},
                                                {QStringLiteral("document-print"), QStringLiteral("report")},
                                                {QStringLiteral("document-export"), QStringLiteral("drop")},
                                                {QStringLiteral("edit-undo"), QStringLiteral("undo")},
                                                {QStringLiteral("edit-redo"), QStringLiteral("redo")},
                                                {QStringLiteral("edit-find"), QStringLiteral("search")},
                                                {QStringLiteral("edit-delete"), QStringLiteral("trash")},
                                                {QStringLiteral("edit-clear-all"), QStringLiteral("trash")},
                                                {QStringLiteral("edit-select-none"), QStringLiteral("close")},
                                                {QStringLiteral("list-remove"), QStringLiteral("close")},
                                                {QStringLiteral("media-playback-start"), QStringLiteral("run")},
                                                {QStringLiteral("media-record"), QStringLiteral("record")},
                                                {QStringLiteral("process-stop"), QStringLiteral("stop")},
                                                {QStringLiteral("run-build"), QStringLiteral("checkpoint")},
                                                {QStringLiteral("select-rectangular"), QStringLiteral("tokens")},
                                                {QStringLiteral("view-filter"), QStringLiteral("filter")},
                                                {QStringLiteral("view-visible"), QStringLiteral("locate")}};
  return names.value(name, name);
}

QByteArray source_of(const QString& breeze_name) {
  static QHash<QString, QByteArray> cache;
  const QString name = file_of(breeze_name);
  const auto found = cache.constFind(name);
  if (found != cache.constEnd()) return *found;
  QFile file(QStringLiteral(":/moescope/icons/%1.svg").arg(name));
  QByteArray text = file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
  cache.insert(name, text);
  return text;
}

// The files are drawn in one neutral colour so that file managers show them; here it becomes the theme's.
constexpr const char* drawn_color = "#4c5157";

class ThemedIcon : public QIconEngine {
 public:
  ThemedIcon(QString name, ColorRole role) : name_(std::move(name)), role_(role) {}

  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State on) override {
    QColor tint = color(on == QIcon::On ? ColorRole::accent : role_);
    if (mode == QIcon::Disabled) tint.setAlphaF(0.4F);
    if (mode == QIcon::Active && on == QIcon::Off) tint = color(ColorRole::text_1);
    const double side = std::min(rect.width(), rect.height());
    paint_icon(*painter, name_,
               QRectF(rect.center().x() + 0.5 - side / 2, rect.center().y() + 0.5 - side / 2, side, side), tint);
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State on) override {
    QPixmap result(size);
    result.fill(Qt::transparent);
    QPainter painter(&result);
    paint(&painter, QRect(QPoint(), size), mode, on);
    return result;
  }
  [[nodiscard]] QIconEngine* clone() const override { return new ThemedIcon(name_, role_); }

 private:
  QString name_;
  ColorRole role_;
};

}  // namespace

QIcon icon(const QString& name, ColorRole role) {
  if (source_of(name).isEmpty()) return {};
  return QIcon(new ThemedIcon(name, role));
}

void paint_icon(QPainter& painter, const QString& name, const QRectF& box, const QColor& tint) {
  QByteArray text = source_of(name);
  if (text.isEmpty()) return;
  text.replace(drawn_color, tint.name().toLatin1());
  QSvgRenderer renderer(text);
  const double opacity = painter.opacity();
  painter.setOpacity(opacity * tint.alphaF());
  renderer.render(&painter, box);
  painter.setOpacity(opacity);
}

}  // namespace moescope
