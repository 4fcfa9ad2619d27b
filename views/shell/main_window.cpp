#include "views/shell/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QMenuBar>
#include <QMimeData>
#include <QSettings>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "views/common/controls.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/theme.h"
#include "views/shell/breadcrumb.h"
#include "views/shell/command_menu.h"
#include "views/shell/dock_title.h"
#include "views/shell/error_bar.h"
#include "views/shell/inspector.h"
#include "views/shell/notes_dialog.h"
#include "views/shell/open_source.h"
#include "views/shell/palette.h"
#include "views/shell/project_tree.h"
#include "views/shell/prompt_panel.h"
#include "views/shell/query_box.h"
#include "views/shell/recent_menu.h"
#include "views/shell/shell_commands.h"
#include "views/shell/start_page.h"
#include "views/shell/status_bar.h"
#include "views/shell/token_strip.h"

namespace moescope {
namespace {

const QString project_name = QStringLiteral("project_dock");
const QString inspector_name = QStringLiteral("inspector_dock");
const QString strip_name = QStringLiteral("strip_dock");

std::map<bool, std::map<QString, bool>> default_docks() {
  std::map<bool, std::map<QString, bool>> docks;
  for (const QString& name : {project_name, inspector_name, strip_name})
    docks[false][name] = true, docks[true][name] = false;
  return docks;
}

}  // namespace

MainWindow::MainWindow(Workbench& workbench, std::vector<ViewSpec> views, std::filesystem::path settings_folder)
    : context_{workbench, {}, {}, {}},
      runner_(context_, *this),
      specs_(std::move(views)),
      settings_folder_(std::move(settings_folder)),
      dock_wanted_(default_docks()) {
  setObjectName(QStringLiteral("window"));
  setWindowTitle(QStringLiteral("MoEScope"));
  setAcceptDrops(true);
  setContextMenuPolicy(Qt::NoContextMenu);
  resize(1440, 900);
  context_.show_error = [this](const Error& error) { error_bar_->show_error(error); };
  context_.show_renderer = [this](const QString& text) { status_->set_renderer(text); };
  context_.invoke = [this](const QString& id) { runner_.invoke(id.toStdString()); };
  if (!theme_applied()) apply_theme(ThemeChoice::system);
  apply_theme_option();

  build_tools();
  build_rail();
  build_center();
  build_docks();
  palette_ = new Palette(context_, this);
  add_shell_commands(*this, runner_);
  fill_menu_bar(*menuBar(), context_, [this](QMenu& menu) { fill_recent_menu(menu, context_); });
  session_name_ = new QLabel(this);
  session_name_->setFont(ui_font(12));
  session_name_->setProperty("role", "hint");
  session_name_->setContentsMargins(0, 6, 12, 0);
  session_name_->setAlignment(Qt::AlignVCenter | Qt::AlignRight);
  session_name_->setMinimumWidth(320);  // the menu bar measures it once, and names change
  menuBar()->setCornerWidget(session_name_);
  restore_layout();
  // Toolbars measure themselves before they have the names that the stylesheet knows them by.
  for (QToolBar* bar : findChildren<QToolBar*>()) {
    QEvent restyle(QEvent::StyleChange);
    QCoreApplication::sendEvent(bar, &restyle);
    if (bar == tools_ || bar == rail_) continue;
    bar->layout()->setContentsMargins(0, 0, 0, 0);  // these two hold one widget that draws its own edges
    bar->layout()->setSpacing(0);
  }
  setFocus();
  listener_ = workbench.listen([this](Changes changes) { changed(changes); });
  changed(~Changes{0});
}

MainWindow::~MainWindow() {
  listener_.reset();
}

void MainWindow::build_tools() {
  tools_ = addToolBar(tr("Tools"));
  tools_->setObjectName(QStringLiteral("tools"));
  tools_->setMovable(false);
  const auto tool = [&](const QString& icon_name, const QString& id, const QString& tip, const QString& text = {}) {
    auto* button = new QToolButton(tools_);
    button->setIcon(icon(icon_name));
    button->setIconSize(QSize(16, 16));
    button->setToolTip(tip);
    button->setAccessibleName(tip);
    button->setFocusPolicy(Qt::TabFocus);
    if (!text.isEmpty()) button->setText(text), button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    connect(button, &QToolButton::clicked, this, [this, id] { context_.invoke(id); });
    button->setProperty("command", id);
    tools_->addWidget(button);
    return button;
  };
  tool(QStringLiteral("open"), QStringLiteral("source.open"), tr("Open a checkpoint, a trace or a session (Ctrl+O)"));
  tool(QStringLiteral("save"), QStringLiteral("session.save_as"), tr("Save the session as…"));
  tools_->addSeparator();
  tool(QStringLiteral("undo"), QStringLiteral("edit.undo"), tr("Undo (Ctrl+Z)"));
  tool(QStringLiteral("redo"), QStringLiteral("edit.redo"), tr("Redo (Ctrl+Shift+Z)"));
  tools_->addSeparator();
  tool(QStringLiteral("run"), QStringLiteral("run.prompt"), tr("Type a text, run the model, see its routes"),
       tr("Run prompt"));
  tools_->addSeparator();
  query_ = new QueryBox(context_, tools_);
  tools_->addWidget(query_);
  tools_->addSeparator();
  tool(QStringLiteral("report"), QStringLiteral("report.export"), tr("Export a report as HTML or PDF"), tr("Report"));
  tools_->addSeparator();
  tool(QStringLiteral("search"), QStringLiteral("edit.palette"), tr("Find a command, an expert or a token"),
       QStringLiteral("Ctrl+K"));
  addToolBarBreak();
  crumbs_ = addToolBar(tr("Where you are"));
  crumbs_->setObjectName(QStringLiteral("crumbs"));
  crumbs_->setMovable(false);
  breadcrumb_ = new Breadcrumb(context_, crumbs_);
  crumbs_->addWidget(breadcrumb_);
}

void MainWindow::build_rail() {
  rail_ = new QToolBar(tr("Panels"), this);
  rail_->setObjectName(QStringLiteral("rail"));
  rail_->setMovable(false);
  rail_->setOrientation(Qt::Vertical);
  addToolBar(Qt::LeftToolBarArea, rail_);
  const auto tool = [&](const char* icon_name, const QString& tip, const QString& dock) {
    auto* button = icon_button(QString::fromLatin1(icon_name), tip, rail_);
    connect(button, &QToolButton::clicked, this, [this, dock] { toggle_dock(dock); });
    rail_->addWidget(button);
  };
  tool("folder", tr("Show the project"), project_name);
  tool("info", tr("Show the inspector"), inspector_name);
  tool("tokens", tr("Show the token strip"), strip_name);
}

void MainWindow::build_center() {
  auto* center = new QWidget(this);
  auto* column = new QVBoxLayout(center);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  error_bar_ = new ErrorBar(center);
  prompt_ = new PromptPanel(context_, center);
  pages_ = new QStackedWidget(center);
  status_ = new StatusBar(context_, center);
  start_ = new StartPage(context_, pages_);
  auto* work = new QWidget(pages_);
  auto* work_column = new QVBoxLayout(work);
  work_column->setContentsMargins(0, 0, 0, 0);
  work_column->setSpacing(0);
  tabs_ = new QTabBar(work);
  tabs_->setObjectName(QStringLiteral("views"));
  tabs_->setDrawBase(false);
  tabs_->setExpanding(false);
  tabs_->setFont(ui_font(13));
  for (const ViewSpec& spec : specs_) tabs_->addTab(spec.title);
  bodies_ = new QStackedWidget(work);
  work_column->addWidget(tabs_);
  work_column->addWidget(bodies_, 1);
  pages_->addWidget(start_);
  pages_->addWidget(work);
  column->addWidget(error_bar_);
  column->addWidget(prompt_);
  column->addWidget(pages_, 1);
  setCentralWidget(center);
  auto* holder = new QToolBar(this);  // the bottom area spans the whole window, as a status bar does
  holder->setObjectName(QStringLiteral("status_holder"));
  holder->setMovable(false);
  holder->setStyleSheet(QStringLiteral("QToolBar { padding: 0; margin: 0; spacing: 0; }"));
  status_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  holder->addWidget(status_);
  addToolBar(Qt::BottomToolBarArea, holder);
  connect(tabs_, &QTabBar::currentChanged, this, [this] { show_page(); });
}

void MainWindow::build_docks() {
  setDockOptions(QMainWindow::AllowNestedDocks | QMainWindow::AllowTabbedDocks);
  setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
  setCorner(Qt::BottomRightCorner, Qt::RightDockWidgetArea);
  project_ = new ProjectTree(context_, this);
  std::vector<std::pair<QString, QString>> names;
  for (const ViewSpec& spec : specs_) names.emplace_back(spec.name, spec.title);
  project_->set_views(std::move(names));
  project_->set_on_view([this](const QString& name) { show_view(name); });
  project_->set_on_note([this](std::int64_t id) { edit_note(context_, *this, id); });
  inspector_ = new Inspector(context_, this);
  strip_ = new TokenStrip(context_, this);
  docks_[project_name] = make_dock(project_name, tr("Project"), project_, this);
  docks_[inspector_name] = make_dock(inspector_name, tr("Inspector"), inspector_, this);
  docks_[strip_name] = make_dock(strip_name, tr("Token strip"), strip_, this);
  strip_->set_title(static_cast<DockTitle*>(docks_[strip_name]->titleBarWidget()));
  addDockWidget(Qt::LeftDockWidgetArea, docks_[project_name]);
  addDockWidget(Qt::RightDockWidgetArea, docks_[inspector_name]);
  addDockWidget(Qt::BottomDockWidgetArea, docks_[strip_name]);
  resizeDocks({docks_[project_name], docks_[inspector_name]}, {240, 304}, Qt::Horizontal);
  resizeDocks({docks_[strip_name]}, {168}, Qt::Vertical);
  for (auto& [name, dock] : docks_) {
    // A dock closed by its own button stays closed for this kind of view.
    connect(dock->toggleViewAction(), &QAction::triggered, this, [this, dock_name = name](bool on) {
      dock_wanted_[!specs_.empty() && specs_[static_cast<std::size_t>(tabs_->currentIndex())].wide][dock_name] = on;
    });
  }
}

void MainWindow::show_view(const QString& name) {
  for (std::size_t i = 0; i < specs_.size(); ++i)
    if (specs_[i].name == name) tabs_->setCurrentIndex(static_cast<int>(i));
}

QString MainWindow::current_view() const {
  const int i = tabs_->currentIndex();
  return i < 0 ? QString() : specs_[static_cast<std::size_t>(i)].name;
}

View* MainWindow::view() {
  const auto found = made_.find(current_view());
  return pages_->currentIndex() == 0 || found == made_.end() ? nullptr : found->second;
}

void MainWindow::show_page() {
  const bool work = !context_.workbench.sources().empty();
  pages_->setCurrentIndex(work ? 1 : 0);
  crumbs_->setVisible(work);
  if (!work) start_->refresh();
  const int i = tabs_->currentIndex();
  if (work && i >= 0) {
    const ViewSpec& spec = specs_[static_cast<std::size_t>(i)];
    View*& made = made_[spec.name];
    if (!made) {
      made = spec.make(context_);
      bodies_->addWidget(made);
    }
    bodies_->setCurrentWidget(made);
    project_->set_current_view(spec.name);
  }
  apply_docks();
}

// A checkpoint without a trace has only its weights to show; the trace that comes next brings the former view back.
void MainWindow::show_what_is_there() {
  const Source* model = context_.workbench.active_checkpoint();
  const bool trace = context_.workbench.active_trace() != nullptr;
  const std::int64_t lone = !trace && model ? model->id : 0;
  if (lone == lone_checkpoint_) return;
  lone_checkpoint_ = lone;
  const QString weights = QStringLiteral("weights");
  if (lone != 0 && current_view() != weights) {
    view_before_weights_ = current_view();
    show_view(weights);
  } else if (trace && !view_before_weights_.isEmpty()) {
    if (current_view() == weights) show_view(view_before_weights_);
    view_before_weights_.clear();
  }
}

void MainWindow::apply_docks() {
  const bool work = pages_->currentIndex() == 1;
  const int i = tabs_->currentIndex();
  const bool wide = i >= 0 && specs_[static_cast<std::size_t>(i)].wide;
  for (auto& [name, dock] : docks_) dock->setVisible(work && dock_wanted_[wide][name]);
  rail_->setVisible(work && !dock_wanted_[wide][project_name]);
}

void MainWindow::toggle_dock(const QString& name) {
  const int i = tabs_->currentIndex();
  const bool wide = i >= 0 && specs_[static_cast<std::size_t>(i)].wide;
  dock_wanted_[wide][name] = !dock_wanted_[wide][name];
  apply_docks();
}

void MainWindow::reset_layout() {
  dock_wanted_ = default_docks();
  for (auto& [name, dock] : docks_) dock->setFloating(false);
  addDockWidget(Qt::LeftDockWidgetArea, docks_[project_name]);
  addDockWidget(Qt::RightDockWidgetArea, docks_[inspector_name]);
  addDockWidget(Qt::BottomDockWidgetArea, docks_[strip_name]);
  apply_docks();
  resizeDocks({docks_[project_name], docks_[inspector_name]}, {240, 304}, Qt::Horizontal);
  resizeDocks({docks_[strip_name]}, {168}, Qt::Vertical);
}

void MainWindow::changed(Changes changes) {
  const Workbench& bench = context_.workbench;
  if (has(changes, Change::options)) apply_theme_option();
  if (palette_->isVisible() && (changes & ~static_cast<Changes>(Change::jobs)) != 0) palette_->hide();
  if (has(changes, Change::sources) || has(changes, Change::session) || has(changes, Change::active_trace))
    show_what_is_there();
  if (has(changes, Change::sources) || has(changes, Change::session) || has(changes, Change::undo)) {
    if (!has(changes, Change::undo) || has(changes, Change::sources)) show_page();
    const auto path = bench.session_path();
    const bool named = !path.empty() && !bench.session_unsaved();
    const QString name = QString::fromStdString(path.filename().string());
    session_name_->setText(named ? name : (bench.session_untouched() ? tr("no session") : tr("unsaved session")));
    setWindowTitle(named ? name + QStringLiteral(" · MoEScope") : QStringLiteral("MoEScope"));
  }
  constexpr auto tree_changes = static_cast<Changes>(Change::sources) | static_cast<Changes>(Change::active_trace) |
                                static_cast<Changes>(Change::annotations) | static_cast<Changes>(Change::filter) |
                                static_cast<Changes>(Change::session);
  if ((changes & tree_changes) != 0) project_->refresh();
  query_->refresh(changes);
  breadcrumb_->update();
  inspector_->refresh(changes);
  strip_->refresh(changes);
  if (has(changes, Change::jobs)) status_->refresh();
  if (has(changes, Change::error) && bench.last_error()) error_bar_->show_error(*bench.last_error());
  for (QToolButton* button : tools_->findChildren<QToolButton*>()) {
    const CommandSpec* spec = bench.commands().find(button->property("command").toString().toStdString());
    if (spec) button->setEnabled(unavailable_reason(*spec).isEmpty());
  }
}

// The session's theme, where it has one; else what is in force stays (--theme, or the desktop's).
void MainWindow::apply_theme_option() {
  const nlohmann::json theme = context_.workbench.option("theme", nullptr);
  if (theme.is_string()) apply_theme(theme_choice(QString::fromStdString(theme.get<std::string>())));
}

bool MainWindow::settled() {
  const auto jobs = context_.workbench.jobs();
  const bool busy = std::any_of(jobs.begin(), jobs.end(), [](const JobStatus& job) {
    return job.state == JobState::running || job.state == JobState::waiting;
  });
  View* shown = view();
  return !busy && (!shown || !shown->pending());
}

void MainWindow::open_paths(const QStringList& paths) {
  for (const QString& path : paths) open_source(context_, this, path);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
  QStringList paths;
  for (const QUrl& url : event->mimeData()->urls())
    if (url.isLocalFile()) paths << url.toLocalFile();
  open_paths(paths);
  event->acceptProposedAction();
}

void MainWindow::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Escape && !context_.workbench.selection().empty()) {
    context_.run("select.clear");
    return;
  }
  QMainWindow::keyPressEvent(event);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  save_layout();
  QMainWindow::closeEvent(event);
}

void MainWindow::save_layout() const {
  if (settings_folder_.empty()) return;
  QSettings file(QString::fromStdString((settings_folder_ / "window.ini").string()), QSettings::IniFormat);
  file.setValue(QStringLiteral("geometry"), saveGeometry());
  file.setValue(QStringLiteral("docks"), saveState(1));
  file.setValue(QStringLiteral("view"), current_view());
  for (const auto& [wide, names] : dock_wanted_)
    for (const auto& [name, shown] : names)
      file.setValue(QStringLiteral("%1/%2").arg(wide ? QStringLiteral("wide") : QStringLiteral("plain"), name), shown);
}

void MainWindow::restore_layout() {
  if (settings_folder_.empty()) return;
  const QSettings file(QString::fromStdString((settings_folder_ / "window.ini").string()), QSettings::IniFormat);
  restoreGeometry(file.value(QStringLiteral("geometry")).toByteArray());
  restoreState(file.value(QStringLiteral("docks")).toByteArray(), 1);
  for (auto& [wide, names] : dock_wanted_)
    for (auto& [name, shown] : names)
      shown =
          file.value(QStringLiteral("%1/%2").arg(wide ? QStringLiteral("wide") : QStringLiteral("plain"), name), shown)
              .toBool();
  show_view(file.value(QStringLiteral("view")).toString());
}

}  // namespace moescope
