#include "views/shell/project_tree.h"

#include <QContextMenuEvent>
#include <QFileDialog>
#include <QHeaderView>
#include <QMenu>
#include <QPainter>

#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/text.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

// Roles of an item: what it is and which one.
constexpr int kind_role = Qt::UserRole;  // "source", "trace", "view", "note"
constexpr int id_role = Qt::UserRole + 1;
constexpr int missing_role = Qt::UserRole + 2;

}  // namespace

ProjectTree::ProjectTree(ViewContext& context, QWidget* parent) : QTreeWidget(parent), context_(context) {
  setObjectName(QStringLiteral("project"));
  setColumnCount(2);
  header()->setStretchLastSection(false);
  header()->setSectionResizeMode(0, QHeaderView::Stretch);
  header()->setSectionResizeMode(1, QHeaderView::ResizeToContents);
  header()->setMinimumSectionSize(20);
  setHeaderHidden(true);
  setIndentation(16);
  setIconSize(QSize(16, 16));
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setAccessibleName(tr("Project"));
  connect(this, &QTreeWidget::itemClicked, this, [this](QTreeWidgetItem* item) { activate(item); });
  connect(this, &QTreeWidget::itemActivated, this, [this](QTreeWidgetItem* item) { activate(item); });
  connect(this, &QTreeWidget::itemCollapsed, this, [this](QTreeWidgetItem* item) { folded_ << item->text(0); });
  connect(this, &QTreeWidget::itemExpanded, this, [this](QTreeWidgetItem* item) { folded_.removeAll(item->text(0)); });
}

void ProjectTree::set_views(std::vector<std::pair<QString, QString>> views) {
  views_ = std::move(views);
}

void ProjectTree::set_current_view(const QString& name) {
  if (current_view_ == name) return;
  current_view_ = name;
  refresh();
}

QTreeWidgetItem* ProjectTree::section(const QString& title) {
  auto* item = new QTreeWidgetItem(this, {title});
  item->setFont(0, ui_font(12, 600));
  item->setForeground(0, color(ColorRole::text_1));
  item->setFlags(Qt::ItemIsEnabled);
  return item;
}

QTreeWidgetItem* ProjectTree::entry(QTreeWidgetItem* parent, const QString& icon_name, const QString& name,
                                    const QString& remark) {
  auto* item = new QTreeWidgetItem(parent, {name, remark});
  item->setIcon(0, icon(icon_name, ColorRole::text_3));
  item->setFont(1, mono_font(11));
  item->setForeground(1, color(ColorRole::text_2));
  item->setTextAlignment(1, Qt::AlignRight | Qt::AlignVCenter);
  return item;
}

void ProjectTree::refresh() {
  const Workbench& bench = context_.workbench;
  const QStringList folded = folded_;
  const QSignalBlocker blocker(this);
  clear();
  QTreeWidgetItem* sources = section(tr("Sources"));
  QTreeWidgetItem* traces = section(tr("Traces"));
  QTreeWidgetItem* results = section(tr("Results"));
  QTreeWidgetItem* notes = section(tr("Notes"));
  const Source* active = bench.active_trace();
  for (const Source& source : bench.sources()) {
    const bool is_trace = source.kind == SourceKind::trace;
    const bool missing = source.error.has_value();
    const QString remark =
        missing ? tr("missing") : (source.trace ? short_count(source.trace->token_count()) : byte_text(source.bytes));
    QTreeWidgetItem* item =
        entry(is_trace ? traces : sources,
              missing ? QStringLiteral("warning") : (is_trace ? QStringLiteral("trace") : QStringLiteral("checkpoint")),
              QString::fromStdString(source.name), remark);
    item->setData(0, kind_role, is_trace ? QStringLiteral("trace") : QStringLiteral("source"));
    item->setData(0, id_role, static_cast<qlonglong>(source.id));
    item->setData(0, missing_role, missing);
    QString tip = QString::fromStdString(source.path.string());
    if (!is_trace && !missing) tip += tr("\nClick shows its weights");
    if (missing) {
      item->setForeground(0, color(ColorRole::text_3));
      tip += QLatin1Char('\n') + QString::fromStdString(source.error->text());
    } else if (source.trace) {
      tip += QLatin1Char('\n') + trace_shape(*source.trace) +
             tr("\n%1 tokens").arg(count_text(source.trace->token_count()));
      for (const std::string& note : source.trace->info->notes) tip += QLatin1Char('\n') + QString::fromStdString(note);
    }
    item->setToolTip(0, tip);
    if (active && active->id == source.id) item->setFont(0, ui_font(13, 600)), setCurrentItem(item);
  }
  if (active && active->id < 0) {  // what is being generated is no source yet
    QTreeWidgetItem* item = entry(traces, QStringLiteral("run"), QString::fromStdString(active->name), tr("running"));
    item->setFont(0, ui_font(13, 600));
    setCurrentItem(item);
  }
  const Source* checkpoint = bench.active_checkpoint();
  const QString n = !active ? QString()
                            : count_text(bench.filter().mask.all() && active->trace ? active->trace->token_count()
                                                                                    : bench.filter().mask.selected);
  for (const auto& [name, title] : views_) {
    const bool of_weights = name == QLatin1String("weights");  // the view on the checkpoint; the others are on traces
    if (!(of_weights ? checkpoint : active)) continue;
    QTreeWidgetItem* item = entry(results, name, title, of_weights ? byte_text(checkpoint->bytes) : n);
    item->setData(0, kind_role, QStringLiteral("view"));
    item->setData(0, id_role, name);
    if (name == current_view_) setCurrentItem(item);
  }
  for (const Annotation& note : bench.annotations()) {
    QTreeWidgetItem* item =
        entry(notes, QStringLiteral("note"), QString::fromStdString(note.text).section(QLatin1Char('\n'), 0, 0),
              QString::fromStdString(note.anchor));
    item->setData(0, kind_role, QStringLiteral("note"));
    item->setData(0, id_role, static_cast<qlonglong>(note.id));
    item->setToolTip(0, QString::fromStdString(note.text));
  }
  for (QTreeWidgetItem* item : {sources, traces, results, notes}) {
    item->setExpanded(!folded.contains(item->text(0)));
    item->setText(1, item->childCount() > 0 ? QString::number(item->childCount()) : QString());
    item->setFont(1, mono_font(11));
    item->setForeground(1, color(ColorRole::text_3));
    item->setTextAlignment(1, Qt::AlignRight | Qt::AlignVCenter);
  }
}

void ProjectTree::activate(QTreeWidgetItem* item) {
  const QString kind = item->data(0, kind_role).toString();
  if (kind.isEmpty()) {
    item->setExpanded(!item->isExpanded());
    return;
  }
  if (kind == QLatin1String("view") && show_view_) return show_view_(item->data(0, id_role).toString());
  const std::int64_t id = item->data(0, id_role).toLongLong();
  if (kind == QLatin1String("note") && show_note_) return show_note_(id);
  if (item->data(0, missing_role).toBool()) return;
  if (kind == QLatin1String("trace")) context_.run("trace.activate", {{"id", id}});
  if (kind == QLatin1String("source")) show_checkpoint(id);
}

void ProjectTree::show_checkpoint(std::int64_t id) {
  const Source* active = context_.workbench.active_checkpoint();
  if (!active || active->id != id) context_.run("checkpoint.activate", {{"id", id}});
  if (show_view_) show_view_(QStringLiteral("weights"));
}

void ProjectTree::contextMenuEvent(QContextMenuEvent* event) {
  QTreeWidgetItem* item = itemAt(event->pos());
  if (!item) return;
  const QString kind = item->data(0, kind_role).toString();
  const std::int64_t id = item->data(0, id_role).toLongLong();
  const bool missing = item->data(0, missing_role).toBool();
  QMenu menu(this);
  if (kind == QLatin1String("trace") && !missing)
    menu.addAction(tr("Show"), [this, id] { context_.run("trace.activate", {{"id", id}}); });
  if (kind == QLatin1String("source") && !missing) {
    menu.addAction(tr("Show its weights"), [this, id] { show_checkpoint(id); });
    menu.addAction(icon(QStringLiteral("run")), tr("Run prompts on it"), [this, id] {
      context_.run("checkpoint.activate", {{"id", id}});
    });
  }
  if (kind == QLatin1String("trace") || kind == QLatin1String("source")) {
    if (missing)
      menu.addAction(icon(QStringLiteral("locate")), tr("Locate…"), [this, id] {
        const QString path = QFileDialog::getOpenFileName(this, tr("Locate the file"));
        if (!path.isEmpty()) context_.run("source.locate", {{"id", id}, {"path", path.toStdString()}});
      });
    menu.addAction(icon(QStringLiteral("trash")), tr("Remove from the session"), [this, id] {
      context_.run("source.remove", {{"id", id}});
    });
  }
  if (kind == QLatin1String("note")) {
    menu.addAction(icon(QStringLiteral("edit")), tr("Edit…"), [this, id] {
      if (show_note_) show_note_(id);
    });
    menu.addAction(icon(QStringLiteral("trash")), tr("Remove"), [this, id] {
      context_.run("note.remove", {{"id", id}});
    });
  }
  if (!menu.isEmpty()) menu.exec(event->globalPos());
}

void ProjectTree::drawRow(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  if (index.siblingAtColumn(0) == currentIndex().siblingAtColumn(0) && currentIndex().isValid())
    painter->fillRect(option.rect, color(ColorRole::accent_wash));
  QTreeWidget::drawRow(painter, option, index);
}

void ProjectTree::drawBranches(QPainter* painter, const QRect& rect, const QModelIndex& index) const {
  if (index.parent().isValid() || !model()->hasChildren(index)) return;
  const QRectF box(rect.right() - 14, rect.center().y() - 5.5, 12, 12);
  paint_icon(*painter, isExpanded(index) ? QStringLiteral("chevron-down") : QStringLiteral("chevron-right"), box,
             color(ColorRole::text_3));
}

}  // namespace moescope
