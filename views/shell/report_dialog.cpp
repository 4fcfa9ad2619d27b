#include "views/shell/report_dialog.h"

#include <QDialog>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace moescope {

void show_report_dialog(ViewContext& context, QWidget& window) {
  const QString path =
      QFileDialog::getSaveFileName(&window, QObject::tr("Export a report"), QStringLiteral("report.html"),
                                   QObject::tr("Web page (*.html);;PDF (*.pdf)"));
  if (!path.isEmpty()) context.run("report.export", {{"path", path.toStdString()}});
}

}  // namespace moescope
