// ProjectTree: sources, traces, results and notes of the session. A click on a trace makes it the active one; missing
// files stay, greyed, with "Locate…" and "Remove". Main thread only.
#pragma once

#include <QTreeWidget>

#include "views/common/view.h"

namespace moescope {

class ProjectTree : public QTreeWidget {
 public:
  ProjectTree(ViewContext& context, QWidget* parent);
  void refresh();
  // What a click on a result does: shows the view of that name.
  void set_on_view(std::function<void(const QString&)> show) { show_view_ = std::move(show); }
  void set_on_note(std::function<void(std::int64_t)> show) { show_note_ = std::move(show); }
  // Views that appear under Results.
  void set_views(std::vector<std::pair<QString, QString>> name_and_title);
  void set_current_view(const QString& name);

 protected:
  void drawBranches(QPainter* painter, const QRect& rect, const QModelIndex& index) const override;
  void drawRow(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  QTreeWidgetItem* section(const QString& title);
  QTreeWidgetItem* entry(QTreeWidgetItem* parent, const QString& icon_name, const QString& name, const QString& remark);
  void activate(QTreeWidgetItem* item);
  void show_checkpoint(std::int64_t id);
  ViewContext& context_;
  std::vector<std::pair<QString, QString>> views_;
  QString current_view_;
  std::function<void(const QString&)> show_view_;
  std::function<void(std::int64_t)> show_note_;
  QStringList folded_;
};

}  // namespace moescope
