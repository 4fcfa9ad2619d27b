#include "views/shell/shortcuts_dialog.h"

#include <QDialog>
#include <QHeaderView>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "views/common/fonts.h"

namespace moescope {

void show_shortcuts(ViewContext& context, QWidget& window) {
  auto* dialog = new QDialog(&window);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setWindowTitle(QObject::tr("Keyboard shortcuts"));
  dialog->resize(640, 560);
  auto* column = new QVBoxLayout(dialog);
  auto* list = new QTreeWidget(dialog);
  list->setHeaderLabels({QObject::tr("Keys"), QObject::tr("Command"), QObject::tr("What it does")});
  list->setRootIsDecorated(false);
  const auto line = [&](const QString& keys, const QString& title, const QString& help) {
    auto* item = new QTreeWidgetItem(list, {keys, title, help});
    item->setFont(0, mono_font(12));
    item->setToolTip(2, help);
  };
  for (const CommandSpec& spec : context.workbench.commands().all())
    if (!spec.shortcut.empty())
      line(QString::fromStdString(spec.shortcut), QString::fromStdString(spec.title),
           QString::fromStdString(spec.help));
  line(QObject::tr("Arrows, Enter"), QObject::tr("In a figure"), QObject::tr("Move between marks and select one"));
  line(QObject::tr("Shift+click"), QObject::tr("In a figure"), QObject::tr("Add an expert to the selection"));
  line(QStringLiteral("Ctrl+C"), QObject::tr("In a figure"), QObject::tr("Copy what the tooltip says"));
  line(QStringLiteral("Esc"), QObject::tr("Anywhere"), QObject::tr("Clear the selection"));
  list->header()->resizeSection(0, 130);
  list->header()->resizeSection(1, 190);
  column->addWidget(list);
  dialog->show();
}

}  // namespace moescope
