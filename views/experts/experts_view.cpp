#include "views/experts/experts_view.h"

#include <QRegularExpression>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "core/figure/experts_figure.h"
#include "core/figure/layer_bars_figure.h"
#include "views/common/figure_widget.h"
#include "views/common/text.h"
#include "views/common/view_header.h"

namespace moescope {
namespace {

class ExpertsView : public View {
 public:
  explicit ExpertsView(ViewContext& context) : View(context) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    header_ = new ViewHeader(
        context, *this,
        tr("Each cell is an expert of a layer. Share is its part of all expert choices of that layer; lift compares "
           "with an even spread, so 1 is even; hatching means that the filter leaves the layer out. Sorted by load, "
           "every layer has its own order, and cells carry the expert's number. The bars below show the layer of the "
           "selected expert: filtered tokens as bars, all tokens as ticks, intervals by resampling sequences."));
    header_->add_segmented({}, "experts.measure",
                           {{"count", tr("Count"), tr("How many choices went to the expert")},
                            {"share", tr("Share"), tr("Part of all choices of the layer")},
                            {"lift", tr("Lift"), tr("Share over an even spread, log scale")}},
                           "share");
    header_->add_choice(tr("Sort"), "experts.sort", {{"index", tr("By index"), {}}, {"load", tr("By load"), {}}},
                        "index");
    header_->add_choice(tr("Weight"), "experts.weighting",
                        {{"slots", tr("All choices"), tr("Every chosen expert counts one")},
                         {"top1", tr("First choice"), tr("Only the first expert counts")},
                         {"gate", tr("Gate weight"), tr("Each choice counts with its gate weight")}},
                        "slots");
    column->addWidget(header_);
    auto* split = new QSplitter(Qt::Vertical, this);
    split->setHandleWidth(1);
    split->setChildrenCollapsible(false);
    map_ = new FigureWidget(context, split);
    bars_ = new FigureWidget(context, split);
    map_->setMinimumHeight(160);
    bars_->setMinimumHeight(110);
    split->addWidget(map_);
    split->addWidget(bars_);
    split->setStretchFactor(0, 7);
    split->setStretchFactor(1, 3);
    split->setSizes({430, 170});
    column->addWidget(split, 1);
  }

  [[nodiscard]] bool pending() const override { return waiting_ > 0; }
  [[nodiscard]] FigureWidget* main_figure() override { return map_; }

 protected:
  void changed(Changes changes) override {
    header_->sync();
    const Trace* trace = context().trace();
    if (!trace) {
      map_->set_message(tr("No trace yet"), tr("Run a prompt, or open a routing trace."));
      bars_->set_message({});
      header_->set_n({});
      return;
    }
    constexpr auto data_changes = static_cast<Changes>(Change::active_trace) | static_cast<Changes>(Change::filter) |
                                  static_cast<Changes>(Change::options) | static_cast<Changes>(Change::sources);
    if ((changes & data_changes) != 0)
      request(*trace);
    else if (has(changes, Change::selection))
      draw();
  }

 private:
  void request(const Trace& trace) {
    const nlohmann::json params = {{"weighting", workbench().option("experts.weighting", "slots")}};
    const bool filtered = !workbench().filter().mask.all();
    // An option that only changes the picture finds the same Result in memory, so asking again costs nothing.
    waiting_ = 1;
    map_->set_waiting(true);
    workbench().request_result("experts.load", "expert_load", params,
                               [this](const Expected<ResultPtr>& result) { arrived(result); });
    const std::size_t n = filtered ? workbench().filter().mask.selected : trace.token_count();
    std::uint32_t k = 0;
    for (const RouterRow& row : trace.rows()) k = std::max(k, row.k);
    header_->set_n(tr("n = %1 tokens").arg(count_text(n)) + (k > 0 ? tr(" × %1 choices").arg(k) : QString()));
  }

  void arrived(const Expected<ResultPtr>& result) {
    waiting_ = 0;
    if (!result) {
      load_.reset();
      map_->set_message(QString::fromStdString(result.error().what), QString::fromStdString(result.error().advice));
      bars_->set_message({});
      return;
    }
    load_ = *result;
    if (workbench().filter().filter.text.empty()) all_ = load_, all_of_ = workbench().active_trace()->id;
    draw();
  }

  void draw() {
    if (!load_) return;
    ExpertsOptions options;
    const std::string measure = workbench().option("experts.measure", "share").get<std::string>();
    options.measure = measure == "count"  ? ExpertsOptions::Measure::count
                      : measure == "lift" ? ExpertsOptions::Measure::lift
                                          : ExpertsOptions::Measure::share;
    options.sort = workbench().option("experts.sort", "index") == "load" ? ExpertsOptions::Sort::load
                                                                         : ExpertsOptions::Sort::index;
    const Selection selection = shown_selection();
    map_->set_builder([load = load_, options, selection](double width, double height) {
      return experts_figure(load, options, selection, width, height);
    });
    LayerBarsOptions bars;
    bars.by_load = options.sort == ExpertsOptions::Sort::load;
    bars.row = shown_row(selection);
    set_domain(bars);
    const Source* source = workbench().active_trace();
    const ResultPtr all = source && source->id == all_of_ && all_ ? all_ : load_;
    bars_->set_builder([load = load_, all, bars, selection](double width, double height) {
      return layer_bars_figure(load, all, bars, selection, width, height);
    });
  }

  // A filter on one domain gives the bars that domain's colour and name.
  void set_domain(LayerBarsOptions& bars) const {
    static const QRegularExpression pattern(QStringLiteral("^\\s*domain\\s*==\\s*\"([^\"]+)\"\\s*(?:&&[^|!]*)?$"));
    const auto match = pattern.match(QString::fromStdString(workbench().filter().filter.text));
    const Trace* trace = context().trace();
    if (!match.hasMatch() || !trace) return;
    const auto names = trace->info->tag_names.find("domain");
    if (names == trace->info->tag_names.end()) return;
    const std::string name = match.captured(1).toStdString();
    const auto found = std::find(names->second.begin(), names->second.end(), name);
    if (found == names->second.end()) return;
    bars.category = static_cast<int>(found - names->second.begin());
    bars.filter_name = name;
  }

  // The layer of the current expert; else the first that the filter keeps.
  [[nodiscard]] std::uint32_t shown_row(const Selection& selection) const {
    if (!selection.experts.empty()) return selection.experts.back().row;
    if (selection.link) return selection.link->from.row;
    const auto& rows = workbench().filter().filter.rows;
    return rows.empty() ? 0 : rows.front();
  }

  ViewHeader* header_ = nullptr;
  FigureWidget *map_ = nullptr, *bars_ = nullptr;
  ResultPtr load_, all_;      // with the filter, and without it as far as it was seen
  std::int64_t all_of_ = -1;  // the trace that `all_` is of
  int waiting_ = 0;
};

}  // namespace

ViewSpec experts_view_spec() {
  return {QStringLiteral("experts"), QObject::tr("Experts"), QStringLiteral("experts"), false,
          [](ViewContext& context) -> View* { return new ExpertsView(context); }};
}

}  // namespace moescope
