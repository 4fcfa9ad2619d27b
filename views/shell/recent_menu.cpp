#include "views/shell/recent_menu.h"

#include <system_error>

#include "views/shell/open_source.h"

namespace moescope {

void fill_recent_menu(QMenu& menu, ViewContext& context) {
  int number = 1;
  for (const auto& path : context.workbench.recent_files()) {
    std::error_code ignored;
    const bool there = std::filesystem::exists(path, ignored);
    const QString name = QString::fromStdString(path.filename().string());
    QAction* action = menu.addAction(
        there ? QStringLiteral("&%1  %2").arg(number).arg(name) : QObject::tr("%1 (not found)").arg(name),
        [&context, &menu, path] { open_source(context, menu.window(), QString::fromStdString(path.string())); });
    action->setEnabled(there);
    action->setToolTip(QString::fromStdString(path.string()));
    if (++number > 12) break;
  }
  if (menu.isEmpty()) menu.addAction(QObject::tr("Nothing yet"))->setEnabled(false);
}

}  // namespace moescope
