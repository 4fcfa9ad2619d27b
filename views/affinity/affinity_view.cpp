#include "views/affinity/affinity_view.h"

#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "core/figure/affinity_links_figure.h"
#include "core/figure/affinity_matrix_figure.h"
#include "core/figure/row_series_figures.h"
#include "views/common/figure_widget.h"
#include "views/common/section.h"
#include "views/common/text.h"
#include "views/common/view_header.h"

namespace moescope {
namespace {

// Columns of the link graph that stay readable at once; more layers than that show those around the chosen one.
constexpr std::uint32_t most_columns = 12;

class AffinityView : public View {
 public:
  explicit AffinityView(ViewContext& context) : View(context) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    header_ = new ViewHeader(
        context, *this,
        tr("How choices in one layer go with choices in a later one. Probability: of the tokens that chose expert i, "
           "the part that chose j later (rows sum to k). Lift divides by how often j is chosen at all, so 1 means "
           "no link; cells with fewer than 5 pairs expected by chance are grey. The links graph shows the strongest "
           "per pair of layers. The strength chart compares with a null that shuffles tokens within each sequence."));
    from_ = header_->add_choice(tr("From"), "affinity.row", {}, 0);
    distance_ = header_->add_segmented(tr("Distance"), "affinity.distance", {{1, QStringLiteral("1"), {}}}, 1);
    header_->add_segmented(tr("Show"), "affinity.measure",
                           {{"probability", tr("Probability"), tr("P(j later | i)")},
                            {"lift", tr("Lift"), tr("P(j later | i) / P(j)")},
                            {"count", tr("Count"), tr("Pairs of choices")}},
                           "lift");
    header_->add_choice(tr("Pairs"), "affinity.weighting",
                        {{"pairs", tr("All choices"), tr("Every pair of chosen experts counts one")},
                         {"top1", tr("First choices"), tr("Only first choices on both sides")},
                         {"pairs_over_k2", tr("All, one per token"), tr("Each token's pairs together count one")}},
                        "pairs");
    header_->add_choice(tr("Order"), "affinity.order",
                        {{"index", tr("By index"), {}}, {"similarity", tr("By similarity"), {}}}, "index");
    column->addWidget(header_);

    auto* split = new QSplitter(Qt::Horizontal, this);
    split->setHandleWidth(1);
    split->setChildrenCollapsible(false);
    matrix_ = new FigureWidget(context, split);
    auto* right = new QSplitter(Qt::Vertical, split);
    right->setHandleWidth(1);
    right->setChildrenCollapsible(false);
    links_ = new FigureWidget(context, right);
    strength_ = new FigureWidget(context, right);
    strength_section_ = new Section(tr("Affinity strength by layer"), {}, strength_, right);
    strength_->set_on_pick([this](const Pick& pick, bool) {
      const auto* row = std::get_if<std::int32_t>(&pick.what);
      if (!row) return false;
      this->context().run("option.set", {{"name", "affinity.row"}, {"value", *row}});
      return true;
    });
    auto* links_box = new QWidget(right);
    auto* links_column = new QVBoxLayout(links_box);
    links_column->setContentsMargins(10, 8, 10, 0);
    links_column->addWidget(links_);
    right->addWidget(links_box);
    right->addWidget(strength_section_);
    right->setSizes({390, 310});
    split->addWidget(matrix_);
    split->addWidget(right);
    split->setSizes({650, 720});
    column->addWidget(split, 1);
  }

  [[nodiscard]] bool pending() const override { return waiting_; }
  [[nodiscard]] FigureWidget* main_figure() override { return matrix_; }

 protected:
  void changed(Changes changes) override {
    const Trace* trace = context().trace();
    if (!trace || trace->rows().size() < 2 || !trace->has_ids()) {
      const QString head = !trace             ? tr("No trace yet")
                           : trace->has_ids() ? tr("This trace has one router row only")
                                              : tr("This trace only counts experts");
      const QString advice = !trace ? tr("Run a prompt, or open a routing trace.")
                                    : tr("Affinity needs the experts of each token in at least two layers.");
      for (FigureWidget* figure : {matrix_, links_, strength_}) figure->set_message({});
      matrix_->set_message(head, advice);
      affinity_.reset();
      waiting_ = false;
      return;
    }
    constexpr auto trace_changes = static_cast<Changes>(Change::active_trace) | static_cast<Changes>(Change::sources);
    if ((changes & trace_changes) != 0) set_rows(*trace);
    const auto chosen = static_cast<std::uint32_t>(number("affinity.row", 0));
    if (chosen != option_row_) option_row_ = chosen, followed_row_.reset();
    if (has(changes, Change::selection)) follow(*trace);
    header_->sync();
    from_->set_value(row(*trace));
    const nlohmann::json params = {{"row", row(*trace)},
                                   {"distance", distance(*trace)},
                                   {"weighting", workbench().option("affinity.weighting", "pairs")}};
    constexpr auto data_changes = trace_changes | static_cast<Changes>(Change::filter);
    if ((changes & data_changes) != 0 || params != params_ || (!affinity_ && !waiting_))
      request(*trace, params);
    else if (has(changes, Change::selection) || has(changes, Change::options))
      draw();
  }

 private:
  [[nodiscard]] std::int64_t number(const char* option, std::int64_t fallback) const {
    const nlohmann::json value = workbench().option(option, fallback);
    return value.is_number_integer() && value.get<std::int64_t>() >= 0 ? value.get<std::int64_t>() : fallback;
  }
  [[nodiscard]] std::uint32_t distance(const Trace& trace) const {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(number("affinity.distance", 1), 1,
                                                               static_cast<std::int64_t>(trace.rows().size()) - 1));
  }
  // First row of the pair: the selected expert's where one was selected since the row was last chosen by hand.
  [[nodiscard]] std::uint32_t row(const Trace& trace) const {
    const auto last = static_cast<std::uint32_t>(trace.rows().size()) - 1 - distance(trace);
    return std::min(followed_row_.value_or(option_row_), last);
  }

  void follow(const Trace& trace) {
    const Selection& selection = shown_selection();
    if (selection.link) {
      followed_row_ = selection.link->from.row;
    } else if (!selection.experts.empty()) {
      const std::uint32_t wanted = selection.experts.back().row, now = row(trace);
      if (wanted != now && wanted != now + distance(trace)) followed_row_ = wanted;
    }
  }

  void set_rows(const Trace& trace) {
    std::vector<Choice> rows;
    for (std::uint32_t r = 0; r + 1 < trace.rows().size(); ++r)
      rows.push_back({r, tr("Layer %1").arg(trace.rows()[r].layer), {}});
    from_->set_choices(rows);
    std::vector<Choice> distances;
    for (const std::uint32_t d : {1U, 2U, 3U, 4U, 8U, 16U})
      if (d < trace.rows().size())
        distances.push_back({d, QString::number(d), tr("%n layer(s) later", nullptr, static_cast<int>(d))});
    distance_->set_choices(std::move(distances));
  }

  void request(const Trace& trace, const nlohmann::json& params) {
    params_ = params;
    waiting_ = true;
    for (FigureWidget* figure : {matrix_, links_, strength_}) figure->set_waiting(true);
    workbench().request_result("affinity.view", "affinity", params,
                               [this](const Expected<ResultPtr>& result) { arrived(result); });
    const bool all = workbench().filter().mask.all();
    header_->set_n(tr("n = %1 tokens").arg(count_text(all ? trace.token_count() : workbench().filter().mask.selected)));
  }

  void arrived(const Expected<ResultPtr>& result) {
    waiting_ = false;
    if (!result) {
      affinity_.reset();
      matrix_->set_message(QString::fromStdString(result.error().what), QString::fromStdString(result.error().advice));
      links_->set_message({});
      strength_->set_message({});
      return;
    }
    affinity_ = *result;
    draw();
  }

  void draw() {
    const Trace* trace = context().trace();
    if (!affinity_ || !trace) return;
    AffinityMatrixOptions matrix;
    const nlohmann::json measure = workbench().option("affinity.measure", "lift");
    matrix.measure = measure == "probability" ? AffinityMatrixOptions::Measure::probability
                     : measure == "count"     ? AffinityMatrixOptions::Measure::count
                                              : AffinityMatrixOptions::Measure::lift;
    matrix.order = workbench().option("affinity.order", "index") == "similarity"
                       ? AffinityMatrixOptions::Order::similarity
                       : AffinityMatrixOptions::Order::index;
    const Selection selection = shown_selection();
    matrix_->set_builder([result = affinity_, matrix, selection](double width, double height) {
      return affinity_matrix_figure(result, matrix, selection, width, height);
    });
    AffinityLinksOptions links;
    const auto rows = static_cast<std::uint32_t>(trace->rows().size());
    for (std::uint32_t r = 0; r < rows; ++r) {
      links.row_names.push_back(row_text(*trace, r).toStdString());
      links.experts.push_back(trace->rows()[r].experts);
    }
    if (rows > most_columns) {
      const std::uint32_t middle = row(*trace);
      links.first_row = std::min(middle > 4 ? middle - 4 : 0, rows - most_columns);
      links.last_row = links.first_row + most_columns - 1;
    } else {
      links.last_row = rows - 1;
    }
    links_->set_builder([result = affinity_, links, selection](double width, double height) {
      return affinity_links_figure(result, links, selection, width, height);
    });
    Selection marked = selection;
    if (marked.empty()) marked.experts = {{row(*trace), 0}};
    strength_section_->set_remark(tr("mutual information of first choices over ln E"));
    strength_->set_builder([result = affinity_, marked](double width, double height) {
      return affinity_strength_figure(result, true, marked, width, height);
    });
  }

  ViewHeader* header_ = nullptr;
  ChoiceBox* from_ = nullptr;
  Segmented* distance_ = nullptr;
  FigureWidget *matrix_ = nullptr, *links_ = nullptr, *strength_ = nullptr;
  Section* strength_section_ = nullptr;
  ResultPtr affinity_;
  nlohmann::json params_;
  std::uint32_t option_row_ = 0;
  std::optional<std::uint32_t> followed_row_;
  bool waiting_ = false;
};

}  // namespace

ViewSpec affinity_view_spec() {
  return {QStringLiteral("affinity"), QObject::tr("Affinity"), QStringLiteral("affinity"), true,
          [](ViewContext& context) -> View* { return new AffinityView(context); }};
}

}  // namespace moescope
