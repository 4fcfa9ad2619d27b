#include "views/common/figure_actions.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QSaveFile>

#include "views/common/figure_painter.h"
#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

Expected<void> write_bytes(const QString& path, const QByteArray& bytes) {
  QSaveFile file(path);
  if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit()) return {};
  return fail(ErrorKind::input, "cannot write the file: " + file.errorString().toStdString(), path.toStdString(),
              "Choose a folder that you may write to.");
}

void ask_and_save(FigureWidget& widget, ViewContext& context, const QString& suffix) {
  if (!widget.figure()) return;
  QString name = QString::fromStdString(widget.figure()->title).toLower().simplified();
  name.replace(QLatin1Char(' '), QLatin1Char('-'));
  QString path = QFileDialog::getSaveFileName(&widget, QObject::tr("Save figure"), name + suffix,
                                              QStringLiteral("*%1").arg(suffix));
  if (path.isEmpty()) return;
  if (!path.endsWith(suffix)) path += suffix;
  if (const auto saved = save_figure(*widget.figure(), path); !saved) context.show_error(saved.error());
}

}  // namespace

void copy_figure_image(const FigureWidget& widget) {
  if (widget.figure()) QApplication::clipboard()->setImage(figure_image(*widget.figure(), current_theme(), 2));
}

Expected<void> save_figure(const Figure& figure, const QString& path) {
  if (path.endsWith(QLatin1String(".svg"), Qt::CaseInsensitive))
    return write_bytes(path, QByteArray::fromStdString(figure_to_svg(figure, current_theme(), true)));
  if (path.endsWith(QLatin1String(".csv"), Qt::CaseInsensitive)) {
    if (!figure.source)
      return fail(ErrorKind::usage, "this figure has no values of its own", path.toStdString(),
                  "Save it as PNG or SVG.");
    return write_bytes(path, QByteArray::fromStdString(result_to_csv(*figure.source)));
  }
  if (figure_image(figure, current_theme(), 2).save(path)) return {};
  return fail(ErrorKind::input, "cannot write the image", path.toStdString(),
              "Use a name that ends in .png, .svg or .csv, in a folder that you may write to.");
}

void fill_figure_menu(QMenu& menu, FigureWidget& widget, ViewContext& context) {
  const bool drawn = widget.figure() != nullptr;
  const bool values = drawn && widget.figure()->source != nullptr;
  const QString tip = widget.hovered_text();
  if (!tip.isEmpty())
    menu.addAction(QObject::tr("Copy what it says"), [tip] { QApplication::clipboard()->setText(tip); });
  menu.addAction(icon(QStringLiteral("copy")), QObject::tr("Copy image"), [&widget] { copy_figure_image(widget); })
      ->setEnabled(drawn);
  menu.addAction(
          QObject::tr("Copy values as CSV"),
          [&widget] {
            if (widget.figure() && widget.figure()->source)
              QApplication::clipboard()->setText(QString::fromStdString(result_to_csv(*widget.figure()->source)));
          })
      ->setEnabled(values);
  menu.addSeparator();
  for (const char* suffix : {".png", ".svg", ".csv"}) {
    const QString text = QString::fromLatin1(suffix);
    menu.addAction(QObject::tr("Save as %1…").arg(text.mid(1).toUpper()),
                   [&widget, &context, text] { ask_and_save(widget, context, text); })
        ->setEnabled(text == QLatin1String(".csv") ? values : drawn);
  }
  menu.addSeparator();
  const QString line = values ? QString::fromStdString(widget.figure()->source->provenance.command_line) : QString();
  menu.addAction(icon(QStringLiteral("log")), QObject::tr("Copy as command line"),
                 [line] { QApplication::clipboard()->setText(line); })
      ->setEnabled(!line.isEmpty());
}

void show_figure_menu(FigureWidget& widget, ViewContext& context, QPoint global_at) {
  QMenu menu(&widget);
  fill_figure_menu(menu, widget, context);
  menu.exec(global_at);
}

}  // namespace moescope
