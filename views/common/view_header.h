// ViewHeader: the 40 px row above a view: what is shown, order and weighting as controls bound to options; at the right
// n, the follow-selection link, copy, save, help and menu. Main thread only.
#pragma once

#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QVBoxLayout>
#include <vector>

#include "views/common/controls.h"
#include "views/common/view.h"

namespace moescope {

class ViewHeader : public QWidget {
 public:
  // `help` is shown by the question mark: what the view shows and how to read it. `parent` is the view where none is
  // given.
  ViewHeader(ViewContext& context, View& view, QString help, QWidget* parent = nullptr);

  // Controls that show and set the option; `fallback` is the value while it was never set.
  Segmented* add_segmented(const QString& label, const std::string& option, std::vector<Choice> choices,
                           const nlohmann::json& fallback);
  ChoiceBox* add_choice(const QString& label, const std::string& option, const std::vector<Choice>& choices,
                        const nlohmann::json& fallback);
  void add_label(const QString& text);
  // Controls added from here on stand in a row of their own below, for views with more of them than a narrow window has
  // room for.
  void begin_row();
  // What copy and save do in a view that shows a table instead of a figure: copying, and the entries of the menu.
  void set_table_actions(std::function<void()> copy, std::function<void(QMenu&)> fill);
  // "n = 2,136 tokens × 2 slots"
  void set_n(const QString& text);
  // Shows the options' values in the controls.
  void sync();

 private:
  void show_help();
  void show_menu();

  ViewContext& context_;
  View& view_;
  QString help_;
  QVBoxLayout* rows_ = nullptr;
  QHBoxLayout* left_ = nullptr;  // of the last row
  QLabel* n_ = nullptr;
  std::vector<std::function<void()>> syncs_;
  std::function<void()> copy_table_;
  std::function<void(QMenu&)> fill_table_;
};

}  // namespace moescope
