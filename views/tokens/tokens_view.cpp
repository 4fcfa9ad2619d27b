#include "views/tokens/tokens_view.h"

#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "views/common/section.h"
#include "views/common/text.h"
#include "views/common/view_header.h"
#include "views/tokens/legend_panel.h"
#include "views/tokens/token_flow.h"
#include "views/tokens/token_legend.h"
#include "views/tokens/token_map.h"

namespace moescope {
namespace {

constexpr double loss_top = 8;  // nats at the bright end

class TokensView : public View {
 public:
  explicit TokensView(ViewContext& context) : View(context) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    header_ = new ViewHeader(
        context, *this,
        tr("Every token in its place. The colour tells the expert of the chosen layer and rank (the six most used have "
           "colours of their own), its gate weight, the model's loss on the token, or the domain. Hover shows all "
           "layers. Drag over tokens to keep only those; Esc clears the selection, the filter box the filter. The map "
           "below shows the whole trace, by layers or by the experts of the chosen layer: the wheel zooms, a drag "
           "moves, "
           "a double click shows all."));
    header_->add_segmented(tr("Colour by"), "tokens.color",
                           {{"expert", tr("Expert"), tr("Expert of the layer and rank")},
                            {"weight", tr("Weight"), tr("Gate weight of that expert")},
                            {"loss", tr("Loss"), tr("How badly the model predicted the token")},
                            {"domain", tr("Domain"), tr("The tag “domain” of the token")}},
                           "expert");
    layer_ = header_->add_choice(tr("Layer"), "tokens.row", {}, 0);
    rank_ = header_->add_segmented(tr("Rank"), "tokens.rank", {{1, QStringLiteral("1"), {}}}, 1);
    header_->add_segmented(tr("Lines"), "tokens.wrap",
                           {{true, tr("Wrap"), tr("Lines end at the window's edge")},
                            {false, tr("Long"), tr("One line of text stays one line")}},
                           true);
    header_->add_segmented(
        tr("Map"), "tokens.map",
        {{"layers", tr("Layers"), tr("How unevenly each layer is used along the trace")},
         {"experts", tr("Experts"), tr("Which experts of the chosen layer are used along the trace")}},
        "layers");
    column->addWidget(header_);

    auto* split = new QSplitter(Qt::Vertical, this);
    split->setHandleWidth(1);
    split->setChildrenCollapsible(false);
    auto* upper = new QSplitter(Qt::Horizontal, split);
    upper->setHandleWidth(1);
    upper->setChildrenCollapsible(false);
    flow_ = new TokenFlow(context, upper);
    legend_ = new LegendPanel(context, upper);
    upper->addWidget(flow_);
    upper->addWidget(legend_);
    upper->setStretchFactor(0, 1);
    upper->setSizes({1040, 320});
    map_ = new TokenMap(context, split);
    map_->setMinimumHeight(90);
    map_section_ = new Section(tr("Layers by tokens"), {}, map_, split);
    map_->set_on_remark([this](const QString& words) {
      map_section_->set_head(map_->shows_experts() ? tr("Experts by tokens") : tr("Layers by tokens"));
      map_section_->set_remark(words);
    });
    split->addWidget(upper);
    split->addWidget(map_section_);
    split->setStretchFactor(0, 1);
    split->setSizes({540, 170});
    column->addWidget(split, 1);
    legend_->set_on_hits([this](std::set<std::uint64_t> hits) { flow_->set_hits(std::move(hits)); });
    flow_->set_on_scroll([this](std::uint64_t first, std::uint64_t count) {
      if (this->context().trace()) map_->set_visible(first, count);
    });
  }

  [[nodiscard]] bool pending() const override { return waiting_ || map_->pending(); }
  [[nodiscard]] FigureWidget* main_figure() override { return map_; }

 protected:
  void changed(Changes changes) override {
    const Source* source = workbench().active_trace();
    const Trace* trace = context().trace();
    if (!trace || !trace->has_ids()) {
      flow_->set_trace(nullptr, {});
      map_->set_message(trace ? tr("This trace only counts experts: it has no tokens") : tr("No trace yet"),
                        tr("Run a prompt, or open a routing trace that records every token."));
      return;
    }
    constexpr auto trace_changes = static_cast<Changes>(Change::active_trace) | static_cast<Changes>(Change::sources);
    if ((changes & trace_changes) != 0) set_rows(*trace);
    follow(*trace, changes);
    header_->sync();
    layer_->set_value(row(*trace));
    constexpr auto data_changes = trace_changes | static_cast<Changes>(Change::filter);
    if ((changes & data_changes) != 0) {
      const AppliedFilter& filter = workbench().filter();
      flow_->set_trace(source->trace, filter);
      // What is being generated grows at its end.
      if (source->id < 0 && trace->token_count() > 0) flow_->scroll_to(trace->token_count() - 1);
      header_->set_n(
          tr("n = %1 tokens").arg(count_text(filter.mask.all() ? trace->token_count() : filter.mask.selected)));
      legend_->search_again();
      map_->set_trace(*trace);
      load_.reset();
    }
    flow_->set_wrap(workbench().option("tokens.wrap", true) == true);
    flow_->set_selection(shown_selection());
    map_->set_row(row(*trace), categories_);
    map_->sync_options();
    map_->set_selection(shown_selection());
    request_load();
  }

 private:
  [[nodiscard]] std::int64_t number(const char* option, std::int64_t fallback) const {
    const nlohmann::json value = workbench().option(option, fallback);
    return value.is_number_integer() && value.get<std::int64_t>() >= 0 ? value.get<std::int64_t>() : fallback;
  }
  [[nodiscard]] std::uint32_t row(const Trace& trace) const {
    return std::min(followed_row_.value_or(option_row_), static_cast<std::uint32_t>(trace.rows().size()) - 1);
  }
  [[nodiscard]] std::uint32_t rank() const {
    return static_cast<std::uint32_t>(std::max<std::int64_t>(1, number("tokens.rank", 1)));
  }
  [[nodiscard]] std::string by() const {
    const nlohmann::json value = workbench().option("tokens.color", "expert");
    return value.is_string() ? value.get<std::string>() : "expert";
  }
  // A newly selected expert brings its layer, until another layer is chosen by hand.
  void follow(const Trace&, Changes changes) {
    const auto chosen = static_cast<std::uint32_t>(number("tokens.row", 0));
    if (chosen != option_row_) option_row_ = chosen, followed_row_.reset();
    const Selection& selection = shown_selection();
    if (has(changes, Change::selection) && !selection.experts.empty()) followed_row_ = selection.experts.back().row;
  }

  void set_rows(const Trace& trace) {
    std::vector<Choice> rows, ranks;
    for (std::uint32_t r = 0; r < trace.rows().size(); ++r)
      rows.push_back({r, tr("Layer %1").arg(trace.rows()[r].layer), {}});
    layer_->set_choices(rows);
    for (std::size_t k = 1; k <= std::min<std::size_t>(trace.max_slots(), 8); ++k)
      ranks.push_back({k, QString::number(k), tr("The expert with the %1. largest weight").arg(k)});
    rank_->set_choices(std::move(ranks));
  }

  // Which experts get colours: the most used of the layer among the tokens that count.
  void request_load() {
    const nlohmann::json params = {{"weighting", rank() == 1 ? "top1" : "slots"}};
    if (load_ && params == load_params_) return color_tokens();
    load_params_ = params;
    waiting_ = true;
    workbench().request_result("tokens.load", "expert_load", params, [this](const Expected<ResultPtr>& result) {
      waiting_ = false;
      load_ = result ? *result : nullptr;
      color_tokens();
    });
  }

  void color_tokens() {
    const Trace* trace = context().trace();
    if (!trace) return;
    TokenColoring coloring;
    const std::string what = by();
    coloring.by = what == "weight"   ? TokenColoring::By::weight
                  : what == "loss"   ? TokenColoring::By::loss
                  : what == "domain" ? TokenColoring::By::domain
                                     : TokenColoring::By::expert;
    coloring.row = row(*trace);
    coloring.rank = rank();
    coloring.loss_high = loss_top;
    coloring.categories = expert_categories(experts_by_use(load_, coloring.row), trace->rows()[coloring.row].experts);
    categories_ = coloring.categories;
    legend_->set_row(coloring.row);
    flow_->set_coloring(coloring);
    fill_legend(*legend_, context(), *trace, coloring, load_, shown_selection());
    map_->set_row(coloring.row, categories_);
    map_->redraw();
  }

  ViewHeader* header_ = nullptr;
  ChoiceBox* layer_ = nullptr;
  Segmented* rank_ = nullptr;
  TokenFlow* flow_ = nullptr;
  LegendPanel* legend_ = nullptr;
  TokenMap* map_ = nullptr;
  Section* map_section_ = nullptr;
  ResultPtr load_;
  nlohmann::json load_params_;
  std::vector<int> categories_;
  std::uint32_t option_row_ = 0;
  std::optional<std::uint32_t> followed_row_;
  bool waiting_ = false;  // for the load
};

}  // namespace

ViewSpec tokens_view_spec() {
  return {QStringLiteral("tokens"), QObject::tr("Tokens"), QStringLiteral("tokens"), true,
          [](ViewContext& context) -> View* { return new TokensView(context); }};
}

}  // namespace moescope
