#include "views/shell/inspector.h"

#include <QFrame>
#include <algorithm>
#include <cmath>
#include <memory>

#include "core/figure/expert_card_figures.h"
#include "views/common/controls.h"
#include "views/common/figure_widget.h"
#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/shell/inspector_fields.h"

namespace moescope {
namespace {

// Heights of the sections' figures in pixels.
constexpr double top_tokens_height = 132, neighbours_height = 124, domain_height = 160;

QString number(double value, int digits) {
  return std::isfinite(value) ? QString::number(value, 'f', digits) : QStringLiteral("–");
}

// A matrix's cell, NaN where there is none.
double cell(const Matrix* matrix, const std::vector<double>& values, ExpertRef e) {
  if (!matrix || e.row >= matrix->rows() || e.expert >= matrix->columns()) return std::nan("");
  const std::size_t i = e.row * matrix->columns() + e.expert;
  return i < values.size() ? values[i] : std::nan("");
}

}  // namespace

Inspector::Inspector(ViewContext& context, QWidget* parent) : QScrollArea(parent), context_(context) {
  setObjectName(QStringLiteral("panel"));
  setWidgetResizable(true);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFrameShape(QFrame::NoFrame);
  setMinimumWidth(220);
  body_ = new QWidget(this);
  body_->setObjectName(QStringLiteral("panel_body"));
  body_->setAttribute(Qt::WA_StyledBackground);
  setWidget(body_);
  column_ = new QVBoxLayout(body_);
  column_->setContentsMargins(12, 12, 12, 12);
  column_->setSpacing(8);
  auto* top = new QHBoxLayout;
  chip_ = new QLabel(body_);
  chip_->setFont(mono_font(12, 600));
  chip_->setObjectName(QStringLiteral("chip"));
  chip_->setContentsMargins(8, 3, 8, 3);
  name_ = new QLabel(body_);
  name_->setFont(ui_font(13, 600));
  name_->setProperty("role", "head");
  name_->setTextFormat(Qt::PlainText);
  name_->setWordWrap(true);
  top->addWidget(chip_);
  top->addWidget(name_, 1);
  auto* note = icon_button(QStringLiteral("note"), tr("Add a note on this"), body_);
  connect(note, &QToolButton::clicked, this, [this] { context_.invoke(QStringLiteral("note.add")); });
  top->addWidget(note);
  column_->addLayout(top);
  fields_box_ = new QWidget(body_);
  fields_ = new QGridLayout(fields_box_);
  fields_->setContentsMargins(0, 0, 0, 4);
  fields_->setHorizontalSpacing(12);
  fields_->setVerticalSpacing(4);
  fields_->setColumnMinimumWidth(0, 74);
  fields_->setColumnStretch(1, 1);
  column_->addWidget(fields_box_);
  column_->addStretch(1);
}

void Inspector::showEvent(QShowEvent* event) {
  QScrollArea::showEvent(event);
  if (stale_) rebuild();
}

void Inspector::refresh(Changes changes) {
  if (has(changes, Change::selection) || has(changes, Change::filter) || has(changes, Change::active_trace) ||
      has(changes, Change::sources))
    stale_ = true;
  if (stale_ && isVisible()) rebuild();
}

Inspector::Section& Inspector::section(const QString& title, const QString& remark) {
  if (used_ == sections_.size()) {
    Section made;
    made.box = new QWidget(body_);
    auto* column = new QVBoxLayout(made.box);
    column->setContentsMargins(0, 0, 0, 6);
    auto* line = new QFrame(made.box);
    line->setObjectName(QStringLiteral("line"));
    line->setFixedHeight(1);
    column->addWidget(line);
    column->addSpacing(6);
    column->setSpacing(6);
    auto* row = new QHBoxLayout;
    made.head = new QLabel(made.box);
    made.head->setFont(ui_font(12, 600));
    made.remark = new QLabel(made.box);
    made.remark->setFont(ui_font(11));
    made.remark->setProperty("role", "hint");
    row->addWidget(made.head);
    row->addStretch(1);
    row->addWidget(made.remark);
    column->addLayout(row);
    made.figure = new FigureWidget(context_, made.box);
    made.figure->set_fits_height(true);
    column->addWidget(made.figure);
    column_->insertWidget(column_->count() - 1, made.box);
    sections_.push_back(made);
  }
  Section& result = sections_[used_++];
  result.head->setText(title);
  result.remark->setText(remark);
  result.figure->set_message({});
  result.box->show();
  return result;
}

void Inspector::set_fields(const std::vector<std::pair<QString, QString>>& fields) {
  while (QLayoutItem* item = fields_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  int row = 0;
  for (const auto& [name, value] : fields) {
    auto* left = new QLabel(name, fields_box_);
    left->setFont(ui_font(12));
    auto* right = new QLabel(value, fields_box_);
    right->setFont(mono_font(12));
    right->setProperty("role", "name");
    right->setWordWrap(true);
    right->setTextFormat(Qt::PlainText);
    right->setTextInteractionFlags(Qt::TextSelectableByMouse);
    fields_->addWidget(left, row, 0, Qt::AlignTop);
    fields_->addWidget(right, row++, 1, Qt::AlignTop);
  }
}

void Inspector::fill(const std::string& slot, Section& target, const std::string& analysis,
                     const nlohmann::json& params, double tall,
                     std::function<Figure(const ResultPtr&, double, double)> draw) {
  FigureWidget* figure = target.figure;
  figure->set_waiting(true);
  context_.workbench.request_result(
      "inspector." + slot, analysis, params, [figure, tall, draw = std::move(draw)](const Expected<ResultPtr>& result) {
        if (!result) {
          figure->set_message(QString::fromStdString(result.error().what));
          return;
        }
        figure->set_builder([draw, tall, made = *result](double width, double) { return draw(made, width, tall); });
      });
}

void Inspector::rebuild() {
  stale_ = false;
  used_ = 0;
  const Selection& selection = context_.workbench.selection();
  const Trace* trace = context_.trace();
  chip_->setStyleSheet(QStringLiteral("QLabel#chip { background: %1; color: %2; border-radius: 3px; }")
                           .arg(color(ColorRole::accent).name(), color(ColorRole::text_on_accent).name()));
  chip_->setVisible(!selection.empty());
  const Source* model = context_.workbench.active_checkpoint();
  if (!trace && model && model->checkpoint) {
    show_checkpoint(*model->checkpoint, selection);
  } else if (!trace) {
    name_->setText(tr("Nothing open"));
    set_fields({});
  } else if (!selection.experts.empty()) {
    show_expert(*trace, selection.experts.back());
  } else if (selection.link) {
    show_expert(*trace, selection.link->from);
  } else if (selection.token) {
    show_token(*trace, *selection.token);
  } else {
    show_trace(*trace);
  }
  for (std::size_t i = used_; i < sections_.size(); ++i) sections_[i].box->hide();
}

void Inspector::show_trace(const Trace& trace) {
  name_->setText(tr("About this trace"));
  set_fields(trace_fields(trace));
}

void Inspector::show_checkpoint(const Checkpoint& checkpoint, const Selection& selection) {
  if (selection.experts.empty()) {
    name_->setText(tr("About this checkpoint"));
    set_fields(checkpoint_fields(checkpoint));
    return;
  }
  const ExpertRef expert = selection.experts.back();
  chip_->setText(expert_text(checkpoint, expert));
  name_->setText(tr("expert %1").arg(expert.expert));
  set_fields(expert_fields(checkpoint, expert));
}

void Inspector::show_expert(const Trace& trace, ExpertRef expert) {
  chip_->setText(expert_text(trace, expert));
  name_->setText(expert.row < trace.rows().size()
                     ? tr("expert %1 of %2").arg(expert.expert).arg(trace.rows()[expert.row].experts)
                     : QString());
  set_fields({});
  const std::string row_name = row_text(trace, expert.row).toStdString();
  context_.workbench.request_result(
      "inspector.load", "expert_load", nlohmann::json::object(), [this, expert](const Expected<ResultPtr>& result) {
        if (!result) return;
        const Matrix* share = (*result)->matrix("share");
        const Matrix* lift = (*result)->matrix("lift");
        const Matrix* count = (*result)->matrix("count");
        if (!share || !lift || !count) return;
        const double mine = cell(share, share->values, expert);
        int rank = 1;
        double slots = 0;
        for (std::size_t e = 0; e < share->columns() && expert.row < share->rows(); ++e) {
          rank += share->at(expert.row, e) > mine ? 1 : 0;
          const double c = count->at(expert.row, e);
          slots += std::isfinite(c) ? c : 0;
        }
        QString lift_text = number(cell(lift, lift->values, expert), 2);
        const double low = cell(lift, lift->low, expert), high = cell(lift, lift->high, expert);
        if (std::isfinite(low)) lift_text += QStringLiteral(" [%1, %2]").arg(number(low, 2), number(high, 2));
        set_fields(
            {{tr("Load"), std::isfinite(mine) ? number(mine * 100, 1) + tr(" % of slots") : tr("outside the filter")},
             {tr("Lift"), lift_text},
             {tr("Rank"), std::isfinite(mine) ? tr("%1 of %2").arg(rank).arg(share->columns()) : QStringLiteral("–")},
             {tr("Slots"),
              tr("%1 of %2")
                  .arg(count_text(static_cast<std::uint64_t>(std::max(0.0, cell(count, count->values, expert)))),
                       count_text(static_cast<std::uint64_t>(slots)))}});
      });
  if (!trace.has_ids()) return;
  fill("tokens", section(tr("Top tokens"), tr("count, share of its uses")), "expert_tokens",
       {{"row", expert.row}, {"expert", expert.expert}, {"top", 6}}, top_tokens_height,
       [](const ResultPtr& result, double width, double height) { return top_tokens_figure(result, width, height); });
  fill_neighbours(trace, expert);
  const bool has_domain = std::any_of(trace.segments.begin(), trace.segments.end(),
                                      [](const auto& segment) { return segment->tags.contains("domain"); });
  if (!has_domain) return;
  fill("domains", section(tr("Domain profile"), tr("share of choices, 95 %")), "domain_profile", {{"row", expert.row}},
       domain_height, [e = expert.expert](const ResultPtr& result, double width, double height) {
         return domain_profile_figure(result, {e, true}, width, height);
       });
}

// Before and after come from two Results of the same analysis; the figure is drawn when both are there.
void Inspector::fill_neighbours(const Trace& trace, ExpertRef expert) {
  const std::size_t rows = trace.rows().size();
  if (rows < 2) return;
  Section& target = section(tr("Before and after"), tr("share of its pairs"));
  struct Both {
    ResultPtr before, after;
    int waiting = 0;
  };
  const auto both = std::make_shared<Both>();
  both->waiting = (expert.row > 0 ? 1 : 0) + (expert.row + 1 < rows ? 1 : 0);
  FigureWidget* figure = target.figure;
  const std::string name = row_text(trace, expert.row).toStdString();
  const auto arrived = [both, figure, expert, name] {
    if (--both->waiting > 0) return;
    if (!both->before && !both->after) return figure->set_message(tr("Not known for this trace"));
    figure->set_builder([both, expert, name](double width, double) {
      return before_after_figure(both->before, both->after, {expert, name}, width, neighbours_height);
    });
  };
  const auto ask = [&](const std::string& slot, std::uint32_t row, ResultPtr Both::*part) {
    context_.workbench.request_result(slot, "affinity", {{"row", row}, {"distance", 1}},
                                      [both, part, arrived](const Expected<ResultPtr>& result) {
                                        if (result) (*both).*part = *result;
                                        arrived();
                                      });
  };
  if (expert.row > 0) ask("inspector.before", expert.row - 1, &Both::before);
  if (expert.row + 1 < rows) ask("inspector.after", expert.row, &Both::after);
}

void Inspector::show_token(const Trace& trace, std::uint64_t token) {
  chip_->setText(tr("token %1").arg(count_text(token)));
  name_->setText(visible_token(trace.token_text(token)));
  set_fields(token_fields(trace, token));
}

}  // namespace moescope
