#include "views/tokens/tokens_view.h"

#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "core/figure/token_strip_figure.h"
#include "views/common/figure_widget.h"
#include "views/common/section.h"
#include "views/common/text.h"
#include "views/common/view_header.h"
#include "views/tokens/legend_panel.h"
#include "views/tokens/token_flow.h"
#include "views/tokens/token_legend.h"

namespace moescope {
namespace {

constexpr std::uint64_t overview_tokens = 1024;  // columns of the overview
constexpr double loss_top = 8;                   // nats at the bright end

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
           "layers. Drag over tokens to keep only those; Esc clears the selection, the filter box the filter."));
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
    overview_ = new FigureWidget(context, split);
    overview_->setMinimumHeight(90);
    overview_section_ = new Section(tr("Layers by tokens"), {}, overview_, split);
    split->addWidget(upper);
    split->addWidget(overview_section_);
    split->setStretchFactor(0, 1);
    split->setSizes({540, 170});
    column->addWidget(split, 1);
    legend_->set_on_hits([this](std::set<std::uint64_t> hits) { flow_->set_hits(std::move(hits)); });
    flow_->set_on_scroll([this](std::uint64_t first, std::uint64_t count) { scrolled(first, count); });
  }

  [[nodiscard]] bool pending() const override { return waiting_ > 0; }
  [[nodiscard]] FigureWidget* main_figure() override { return overview_; }

 protected:
  void changed(Changes changes) override {
    const Source* source = workbench().active_trace();
    const Trace* trace = context().trace();
    if (!trace || !trace->has_ids()) {
      flow_->set_trace(nullptr, {});
      overview_->set_message(trace ? tr("This trace only counts experts: it has no tokens") : tr("No trace yet"),
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
      window_first_ = filter.mask.all() ? 0 : first_token_kept(filter.mask);
      legend_->search_again();
      request_overview(*trace);
      load_.reset();
    }
    flow_->set_wrap(workbench().option("tokens.wrap", true) == true);
    flow_->set_selection(shown_selection());
    request_load();
    draw_overview();
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
  static std::uint64_t first_token_kept(const TokenMask& mask) {
    for (std::uint64_t t = 0; t < mask.tokens; ++t)
      if (mask.test(t)) return t;
    return 0;
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
    waiting_ |= 1;
    workbench().request_result("tokens.load", "expert_load", params, [this](const Expected<ResultPtr>& result) {
      waiting_ &= ~1;
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
    draw_overview();
  }

  void request_overview(const Trace& trace) {
    const std::uint64_t total = trace.token_count();
    window_first_ = std::min<std::uint64_t>(window_first_, total > overview_tokens ? total - overview_tokens : 0);
    const std::uint64_t count = std::min<std::uint64_t>(overview_tokens, total - window_first_);
    waiting_ |= 2;
    overview_section_->set_remark(
        tr("tokens %1 to %2; the chosen layer by expert, the others by gate weight of rank 1")
            .arg(count_text(window_first_), count_text(window_first_ + std::max<std::uint64_t>(1, count) - 1)));
    workbench().request_result("tokens.overview", "token_routes",
                               {{"first", window_first_}, {"count", count}, {"rank", 1}},
                               [this](const Expected<ResultPtr>& result) {
                                 waiting_ &= ~2;
                                 routes_ = result ? *result : nullptr;
                                 if (!result)
                                   overview_->set_message(QString::fromStdString(result.error().what),
                                                          QString::fromStdString(result.error().advice));
                                 draw_overview();
                               });
  }

  // The overview follows the text: it is asked for anew when the text leaves its window.
  void scrolled(std::uint64_t first, std::uint64_t count) {
    const Trace* trace = context().trace();
    if (!trace) return;
    const bool moved = first != view_first_ || count != view_count_;
    view_first_ = first;
    view_count_ = count;
    const bool inside = first >= window_first_ && first + count <= window_first_ + overview_tokens;
    if (!inside && (waiting_ & 2) == 0) {
      window_first_ = first > overview_tokens / 4 ? first - overview_tokens / 4 : 0;
      QMetaObject::invokeMethod(
          this,
          [this] {
            if (const Trace* t = context().trace()) request_overview(*t);
          },
          Qt::QueuedConnection);
    } else if (moved) {
      QMetaObject::invokeMethod(
          this, [this] { draw_overview(); }, Qt::QueuedConnection);
    }
  }

  void draw_overview() {
    const Trace* trace = context().trace();
    if (!routes_ || !trace) return;
    TokenOverviewOptions options;
    options.row = row(*trace);
    options.categories = categories_;
    const std::uint64_t end = std::min<std::uint64_t>(window_first_ + overview_tokens, trace->token_count());
    std::string last;
    for (std::uint64_t t = window_first_; t < end; ++t) {
      const std::string tag = token_section(*trace, t);
      if (tag != last && !tag.empty()) options.sections.emplace_back(t - window_first_, tag);
      last = tag;
    }
    if (view_first_ >= window_first_ && view_first_ < end) {
      options.view_first = view_first_ - window_first_;
      options.view_count = std::min<std::uint64_t>(view_count_, end - view_first_);
    }
    overview_->set_builder([routes = routes_, options, selection = shown_selection()](double width, double height) {
      return token_overview_figure(routes, options, selection, width, height);
    });
  }

  ViewHeader* header_ = nullptr;
  ChoiceBox* layer_ = nullptr;
  Segmented* rank_ = nullptr;
  TokenFlow* flow_ = nullptr;
  LegendPanel* legend_ = nullptr;
  FigureWidget* overview_ = nullptr;
  Section* overview_section_ = nullptr;
  ResultPtr load_, routes_;
  nlohmann::json load_params_;
  std::vector<int> categories_;
  std::uint64_t window_first_ = 0, view_first_ = 0, view_count_ = 0;
  std::uint32_t option_row_ = 0;
  std::optional<std::uint32_t> followed_row_;
  int waiting_ = 0;  // bits: 1 load, 2 overview
};

}  // namespace

ViewSpec tokens_view_spec() {
  return {QStringLiteral("tokens"), QObject::tr("Tokens"), QStringLiteral("tokens"), true,
          [](ViewContext& context) -> View* { return new TokensView(context); }};
}

}  // namespace moescope
