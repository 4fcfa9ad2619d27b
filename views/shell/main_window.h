// MainWindow: composes the shell. It owns docks, tabs and bars, forwards what the workbench tells to them, and holds no
// state of the work itself. Main thread only.
#pragma once

#include <QDockWidget>
#include <QLabel>
#include <QMainWindow>
#include <QStackedWidget>
#include <QTabBar>
#include <QToolBar>
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "views/common/view.h"
#include "views/shell/command_runner.h"

namespace moescope {

class Breadcrumb;
class ErrorBar;
class Inspector;
class Palette;
class ProjectTree;
class PromptPanel;
class QueryBox;
class StartPage;
class StatusBar;
class TokenStrip;

class MainWindow : public QMainWindow {
 public:
  // `views` in the order of their tabs. `settings_folder` keeps the layout; empty = it is not kept.
  MainWindow(Workbench& workbench, std::vector<ViewSpec> views, std::filesystem::path settings_folder);
  ~MainWindow() override;

  void show_view(const QString& name);
  [[nodiscard]] QString current_view() const;
  [[nodiscard]] View* view();  // the shown one; null on the start page
  [[nodiscard]] const std::vector<ViewSpec>& views() const { return specs_; }
  [[nodiscard]] ViewContext& context() { return context_; }
  [[nodiscard]] const ErrorBar& errors() const { return *error_bar_; }
  [[nodiscard]] ErrorBar& errors() { return *error_bar_; }
  [[nodiscard]] QueryBox& query() { return *query_; }
  [[nodiscard]] Palette& palette_box() { return *palette_; }
  [[nodiscard]] PromptPanel& prompt() { return *prompt_; }
  void toggle_dock(const QString& name);
  void reset_layout();
  void open_paths(const QStringList& paths);
  // True when no job runs and the shown view is up to date.
  [[nodiscard]] bool settled();

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  void closeEvent(QCloseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void build_tools();
  void build_rail();
  void build_center();
  void build_docks();
  void changed(Changes changes);
  void show_page();
  void show_what_is_there();
  void apply_docks();
  void apply_theme_option();
  void save_layout() const;
  void restore_layout();

  ViewContext context_;
  CommandRunner runner_;
  std::vector<ViewSpec> specs_;
  std::filesystem::path settings_folder_;
  std::map<QString, View*> made_;
  std::map<bool, std::map<QString, bool>> dock_wanted_;  // wide view? -> dock name -> shown
  std::map<QString, QDockWidget*> docks_;
  QToolBar *tools_ = nullptr, *crumbs_ = nullptr, *rail_ = nullptr;
  QStackedWidget *pages_ = nullptr, *bodies_ = nullptr;
  QTabBar* tabs_ = nullptr;
  QLabel* session_name_ = nullptr;
  std::int64_t lone_checkpoint_ = 0;  // the active checkpoint while there is no trace
  QString view_before_weights_;       // the view that the window left for a lone checkpoint's weights
  Breadcrumb* breadcrumb_ = nullptr;
  ErrorBar* error_bar_ = nullptr;
  Inspector* inspector_ = nullptr;
  Palette* palette_ = nullptr;
  ProjectTree* project_ = nullptr;
  PromptPanel* prompt_ = nullptr;
  QueryBox* query_ = nullptr;
  StartPage* start_ = nullptr;
  StatusBar* status_ = nullptr;
  TokenStrip* strip_ = nullptr;
  std::shared_ptr<void> listener_;
};

}  // namespace moescope
