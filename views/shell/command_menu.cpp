#include "views/shell/command_menu.h"

#include <QAction>
#include <QMap>
#include <QMenu>

#include "views/common/icons.h"

namespace moescope {
namespace {

// Submenu for a path such as "Edit/Layout", made on the way.
QMenu* menu_at(QMenuBar& bar, QMap<QString, QMenu*>& menus, const QString& path) {
  if (const auto found = menus.constFind(path); found != menus.constEnd()) return *found;
  const qsizetype slash = path.lastIndexOf(QLatin1Char('/'));
  QMenu* menu = slash < 0 ? bar.addMenu(path) : menu_at(bar, menus, path.left(slash))->addMenu(path.mid(slash + 1));
  menu->setToolTipsVisible(true);
  menus.insert(path, menu);
  return menu;
}

QAction* action_for(const CommandSpec& spec, ViewContext& context, QObject* parent) {
  auto* action = new QAction(QString::fromStdString(spec.title), parent);
  action->setObjectName(QString::fromStdString(spec.id));
  action->setToolTip(QString::fromStdString(spec.help));
  if (!spec.icon.empty()) action->setIcon(icon(QString::fromStdString(spec.icon)));
  if (!spec.shortcut.empty()) action->setShortcut(QKeySequence(QString::fromStdString(spec.shortcut)));
  QObject::connect(action, &QAction::triggered, action, [&context, id = action->objectName()] { context.invoke(id); });
  return action;
}

}  // namespace

QString unavailable_reason(const CommandSpec& spec) {
  return spec.unavailable ? QString::fromStdString(spec.unavailable()) : QString();
}

void fill_menu_bar(QMenuBar& bar, ViewContext& context, const std::function<void(QMenu&)>& recent) {
  QMap<QString, QMenu*> menus;
  for (const char* name : {"File", "Edit", "Select", "View", "Run", "Report", "Window", "Help"})
    menu_at(bar, menus, QString::fromLatin1(name));
  const CommandRegistry& registry = context.workbench.commands();
  for (const CommandSpec& spec : registry.all()) {
    if (spec.menu.empty()) {
      if (!spec.shortcut.empty()) bar.window()->addAction(action_for(spec, context, &bar));
      continue;
    }
    menu_at(bar, menus, QString::fromStdString(spec.menu))->addAction(action_for(spec, context, &bar));
    if (spec.id == "source.open") {
      QMenu* files = menus.value(QString::fromStdString(spec.menu))->addMenu(QObject::tr("Open recent"));
      QObject::connect(files, &QMenu::aboutToShow, files, [files, recent] { files->clear(), recent(*files); });
    }
  }
  for (auto it = menus.cbegin(); it != menus.cend(); ++it) {
    QMenu* menu = it.value();
    if (menu->isEmpty()) {
      menu->menuAction()->setVisible(false);
      continue;
    }
    QObject::connect(menu, &QMenu::aboutToShow, menu, [menu, &registry] {
      for (QAction* action : menu->actions()) {
        const CommandSpec* spec = registry.find(action->objectName().toStdString());
        if (!spec) continue;
        const QString reason = unavailable_reason(*spec);
        action->setEnabled(reason.isEmpty());
        action->setToolTip(reason.isEmpty() ? QString::fromStdString(spec->help) : reason);
      }
    });
    // A closed menu leaves its actions enabled, so that shortcuts reach the command, which says why it cannot run.
    QObject::connect(menu, &QMenu::aboutToHide, menu, [menu] {
      for (QAction* action : menu->actions()) action->setEnabled(true);
    });
  }
}

}  // namespace moescope
