// View: a tab of the main window. Views register as ViewSpecs (the program lists them, see app/desktop/view_table.cpp),
// are made when first shown, and talk to the rest only through the workbench: they read state, listen for changes and
// run commands. Main thread only.
#pragma once

#include <QImage>
#include <QString>
#include <QWidget>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/workbench/workbench.h"

namespace moescope {

// What every widget of the window is given. Outlives them all.
struct ViewContext {
  Workbench& workbench;
  std::function<void(const Error&)> show_error;       // the one error bar
  std::function<void(const QString&)> show_renderer;  // status bar: "llvmpipe · 17 ms per frame"
  std::function<void(const QString&)> invoke;         // a command by id, asking for its arguments as menus do

  // Runs a command and shows its error. True when it succeeded. What can run in a job does, so that the window stays
  // responsive: true then says that it began.
  bool run(const std::string& id, const nlohmann::json& arguments = nlohmann::json::object()) const;
  [[nodiscard]] const Trace* trace() const;  // of the active source; null when none
};

class FigureWidget;

// The body of a tab. Subclasses override changed(); it is called only while the view is visible, with all changes that
// came since the last call.
class View : public QWidget {
 public:
  explicit View(ViewContext& context);
  ~View() override;

  // True while what is shown is not yet up to date (a job runs): screenshots wait for it.
  [[nodiscard]] virtual bool pending() const { return false; }
  // The figure that the window's copy and export commands mean; null when there is none.
  [[nodiscard]] virtual FigureWidget* main_figure() { return nullptr; }
  // The view's picture at a device pixel ratio. Views that paint with OpenGL override it.
  [[nodiscard]] virtual QImage picture(double scale);

  // Whether the view follows the selection made elsewhere.
  [[nodiscard]] bool follows() const { return follows_; }
  void set_follows(bool follows);
  // The selection to show: the workbench's, or the one at the time that following was switched off.
  [[nodiscard]] const Selection& shown_selection() const;

 protected:
  virtual void changed(Changes changes) = 0;
  void showEvent(QShowEvent* event) override;
  [[nodiscard]] ViewContext& context() const { return context_; }
  [[nodiscard]] Workbench& workbench() const { return context_.workbench; }

 private:
  ViewContext& context_;
  std::shared_ptr<void> listener_;
  Changes waiting_ = ~Changes{0};
  bool follows_ = true;
  Selection kept_;
};

[[nodiscard]] inline bool has(Changes changes, Change change) {
  return (changes & static_cast<Changes>(change)) != 0;
}

// How a view enters the window.
struct ViewSpec {
  QString name;       // "experts": --view, command view.show
  QString title;      // "Experts": the tab
  QString icon;       // resources/icons
  bool wide = false;  // folds the project dock to a rail
  std::function<View*(ViewContext&)> make;
};

}  // namespace moescope
