// Small controls in the program's own look: a segmented switch, a combo box with a quiet arrow, flat icon buttons.
// Bound to an option of the workbench they show its value and change it by command. Main thread only.
#pragma once

#include <QComboBox>
#include <QToolButton>
#include <QWidget>
#include <functional>
#include <utility>
#include <vector>

#include "views/common/view.h"

namespace moescope {

struct Choice {
  nlohmann::json value;
  QString text;
  QString tip;
};

// A row of buttons of which one is on.
class Segmented : public QWidget {
 public:
  explicit Segmented(std::vector<Choice> choices, QWidget* parent = nullptr);
  void set_choices(std::vector<Choice> choices);
  void set_value(const nlohmann::json& value);
  void set_on_change(std::function<void(const nlohmann::json&)> on_change) { on_change_ = std::move(on_change); }
  [[nodiscard]] QSize sizeHint() const override;
  [[nodiscard]] QSize minimumSizeHint() const override { return sizeHint(); }

 protected:
  bool event(QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  [[nodiscard]] int at(double x) const;
  void pick(int index);
  std::vector<Choice> choices_;
  std::vector<double> edges_;  // left edges, then the right end
  int current_ = 0;
  std::function<void(const nlohmann::json&)> on_change_;
};

// A combo box of choices.
class ChoiceBox : public QComboBox {
 public:
  explicit ChoiceBox(QWidget* parent = nullptr);
  void set_choices(const std::vector<Choice>& choices);
  void set_value(const nlohmann::json& value);
  [[nodiscard]] nlohmann::json value() const;
  void set_on_change(std::function<void(const nlohmann::json&)> on_change) { on_change_ = std::move(on_change); }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  std::vector<Choice> choices_;
  std::function<void(const nlohmann::json&)> on_change_;
};

[[nodiscard]] QToolButton* icon_button(const QString& icon_name, const QString& tip, QWidget* parent = nullptr);

}  // namespace moescope
