#include "views/common/view_header.h"

#include <QMenu>
#include <QWidgetAction>

#include "views/common/figure_actions.h"
#include "views/common/figure_widget.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {

ViewHeader::ViewHeader(ViewContext& context, View& view, QString help, QWidget* parent)
    : QWidget(parent ? parent : &view), context_(context), view_(view), help_(std::move(help)) {
  setObjectName(QStringLiteral("view_header"));
  setAttribute(Qt::WA_StyledBackground);
  setFixedHeight(40);
  rows_ = new QVBoxLayout(this);
  rows_->setContentsMargins(16, 0, 8, 0);
  rows_->setSpacing(0);
  auto* row = new QHBoxLayout;
  row->setSpacing(4);
  rows_->addLayout(row);
  left_ = new QHBoxLayout;
  left_->setSpacing(8);
  row->addLayout(left_);
  row->addStretch(1);
  n_ = new QLabel(this);
  n_->setFont(mono_font(12));
  row->addWidget(n_);
  row->addSpacing(12);

  auto* link = icon_button(QStringLiteral("link"), tr("Follow the selection made in other views"), this);
  link->setCheckable(true);
  link->setChecked(true);
  connect(link, &QToolButton::toggled, this, [this](bool on) { view_.set_follows(on); });
  syncs_.emplace_back([this, link] {
    const QSignalBlocker blocker(link);
    link->setChecked(view_.follows());
  });
  row->addWidget(link);
  auto* copy = icon_button(QStringLiteral("copy"), tr("Copy image"), this);
  connect(copy, &QToolButton::clicked, this, [this] {
    if (copy_table_) return copy_table_();
    if (FigureWidget* figure = view_.main_figure()) copy_figure_image(*figure);
  });
  row->addWidget(copy);
  auto* save = icon_button(QStringLiteral("image"), tr("Save as PNG, SVG or CSV…"), this);
  connect(save, &QToolButton::clicked, this, [this] { show_menu(); });
  row->addWidget(save);
  auto* question = icon_button(QStringLiteral("help"), tr("What this shows"), this);
  connect(question, &QToolButton::clicked, this, [this] { show_help(); });
  row->addWidget(question);
  for (QToolButton* button : {copy, save}) button->setProperty("figure", true);
}

void ViewHeader::begin_row() {
  setFixedHeight(height() + 36);
  auto* row = new QHBoxLayout;
  left_ = new QHBoxLayout;
  left_->setSpacing(8);
  row->addLayout(left_);
  row->addStretch(1);
  rows_->addLayout(row);
}

void ViewHeader::add_label(const QString& text) {
  auto* label = new QLabel(text, this);
  label->setFont(ui_font(12));
  if (left_->count() > 0) left_->addSpacing(6);
  left_->addWidget(label);
}

Segmented* ViewHeader::add_segmented(const QString& label, const std::string& option, std::vector<Choice> choices,
                                     const nlohmann::json& fallback) {
  if (!label.isEmpty()) add_label(label);
  auto* control = new Segmented(std::move(choices), this);
  control->setAccessibleName(label.isEmpty() ? QString::fromStdString(option) : label);
  control->set_on_change([this, option](const nlohmann::json& value) {
    context_.run("option.set", {{"name", option}, {"value", value}});
  });
  left_->addWidget(control);
  syncs_.emplace_back(
      [this, control, option, fallback] { control->set_value(context_.workbench.option(option, fallback)); });
  syncs_.back()();
  return control;
}

ChoiceBox* ViewHeader::add_choice(const QString& label, const std::string& option, const std::vector<Choice>& choices,
                                  const nlohmann::json& fallback) {
  if (!label.isEmpty()) add_label(label);
  auto* control = new ChoiceBox(this);
  control->setAccessibleName(label.isEmpty() ? QString::fromStdString(option) : label);
  control->set_choices(choices);
  control->set_on_change([this, option](const nlohmann::json& value) {
    context_.run("option.set", {{"name", option}, {"value", value}});
  });
  left_->addWidget(control);
  syncs_.emplace_back(
      [this, control, option, fallback] { control->set_value(context_.workbench.option(option, fallback)); });
  syncs_.back()();
  return control;
}

void ViewHeader::set_n(const QString& text) {
  n_->setText(text);
}

void ViewHeader::sync() {
  for (const auto& sync : syncs_) sync();
}

void ViewHeader::show_help() {
  QMenu popup(this);
  auto* text = new QLabel(help_, &popup);
  text->setWordWrap(true);
  text->setFixedWidth(340);
  text->setMargin(10);
  auto* action = new QWidgetAction(&popup);
  action->setDefaultWidget(text);
  popup.addAction(action);
  popup.exec(mapToGlobal(QPoint(width() - 360, height())));
}

void ViewHeader::set_table_actions(std::function<void()> copy, std::function<void(QMenu&)> fill) {
  copy_table_ = std::move(copy);
  fill_table_ = std::move(fill);
}

void ViewHeader::show_menu() {
  if (fill_table_) {
    QMenu menu(this);
    fill_table_(menu);
    menu.exec(mapToGlobal(QPoint(width() - 220, height())));
    return;
  }
  FigureWidget* figure = view_.main_figure();
  if (!figure) return;
  QMenu menu(this);
  fill_figure_menu(menu, *figure, context_);
  menu.exec(mapToGlobal(QPoint(width() - 220, height())));
}

}  // namespace moescope
