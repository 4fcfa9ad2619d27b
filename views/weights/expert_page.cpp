// The Weights view's third page: norms of all layers' experts, and one layer's experts compared.
#include <QSplitter>
#include <algorithm>
#include <optional>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/figure/expert_matrix_figure.h"
#include "core/figure/expert_weights_figures.h"
#include "views/common/figure_widget.h"
#include "views/weights/weights_page.h"
#include "views/weights/weights_request.h"

namespace moescope {
namespace {

// Singular values that the chart has room for.
constexpr int shown_values = 256;

// Router row of every layer with experts: the trace's where it is of such a model, else the layers in order.
std::vector<std::optional<std::uint32_t>> rows_of(const ModelSpec& spec, const std::vector<std::uint32_t>& layers,
                                                  const Trace* trace) {
  std::vector<std::optional<std::uint32_t>> out(layers.size());
  for (std::uint32_t i = 0; i < layers.size(); ++i) {
    if (!trace) {
      out[i] = i;
      continue;
    }
    for (std::uint32_t r = 0; r < trace->rows().size(); ++r) {
      const RouterRow& row = trace->rows()[r];
      if (row.layer == static_cast<int>(layers[i]) && row.experts == spec.layers[layers[i]].experts &&
          row.block == "decoder" && row.site == "mlp")
        out[i] = r;
    }
  }
  return out;
}

class ExpertPage : public WeightsPage {
 public:
  ExpertPage(ViewContext& context, View& view, QWidget* parent)
      : WeightsPage(context, view,
                    tr("Weights of the experts, from the files, without running the model. Norms: root mean square of "
                       "a matrix, for every expert of every layer. The square compares the experts of one layer: "
                       "cosine of their router rows, cosine of all their weights, or linear CKA of one matrix, which "
                       "does not depend on the order of inner neurons. Spectra: singular values by rank; the stable "
                       "rank is ‖W‖² / σ₁². Click an expert to select it in every view."),
                    parent),
        norms_(context, "expert_norms", [this] { draw_norms(); }),
        router_(context, "router_weights", [this] { draw_matrix(); }),
        similarity_(context, "expert_similarity", [this] { draw_matrix(); }),
        spectra_(context, "expert_spectra", [this] { draw_spectra(); }) {
    header().begin_row();
    layer_ = header().add_choice(tr("Layer"), "weights.layer", {}, 0);
    header().add_segmented(tr("Matrix"), "weights.part",
                           {{"gate", tr("Gate"), tr("Norms, CKA and spectra of the gate matrix")},
                            {"up", tr("Up"), tr("Norms, CKA and spectra of the up matrix")},
                            {"down", tr("Down"), tr("Norms, CKA and spectra of the down matrix")}},
                           "gate");
    header().add_segmented(tr("Compare"), "weights.compare",
                           {{"router", tr("Router rows"), tr("Cosine of the router's rows")},
                            {"cosine", tr("Experts, cosine"), tr("Cosine of gate, up and down as one vector")},
                            {"cka", tr("Experts, CKA"), tr("Linear CKA of the chosen matrix")}},
                           "router");
    header().add_choice(tr("Order"), "weights.order",
                        {{"index", tr("By index"), {}}, {"similarity", tr("By similarity"), {}}}, "index");
    auto* split = new QSplitter(Qt::Horizontal, this);
    split->setHandleWidth(1);
    split->setChildrenCollapsible(false);
    matrix_ = new FigureWidget(context, split);
    auto* right = new QSplitter(Qt::Vertical, split);
    right->setHandleWidth(1);
    right->setChildrenCollapsible(false);
    for (FigureWidget** figure : {&norms_figure_, &spectra_figure_, &rank_figure_}) {
      auto* box = new QWidget(right);
      auto* inner = new QVBoxLayout(box);
      inner->setContentsMargins(10, 8, 10, 4);
      *figure = new FigureWidget(context, box);
      (*figure)->setMinimumHeight(110);
      inner->addWidget(*figure);
      right->addWidget(box);
    }
    right->setSizes({280, 230, 190});
    split->addWidget(matrix_);
    split->addWidget(right);
    split->setSizes({640, 740});
    column().addWidget(split, 1);
  }

  void refresh(Changes changes) override {
    const ModelSpec& spec = checkpoint().spec();
    layers_ = expert_layers(spec);
    rows_ = rows_of(spec, layers_, context().trace());
    if (has(changes, Change::sources)) {
      std::vector<Choice> choices;
      for (std::uint32_t i = 0; i < layers_.size(); ++i) choices.push_back({i, tr("Layer %1").arg(layers_[i]), {}});
      layer_->set_choices(choices);
    }
    if (layers_.empty()) {
      for (FigureWidget* figure : {norms_figure_, spectra_figure_, rank_figure_}) figure->set_message({});
      matrix_->set_message(tr("This model has no experts"), tr("All of its layers are dense; see the page Model."));
      header().set_n({});
      return;
    }
    const nlohmann::json chosen = workbench().option("weights.layer", 0);
    if (chosen != option_) option_ = chosen, followed_.reset();
    if (has(changes, Change::selection) || has(changes, Change::active_trace)) follow();
    header().sync();
    layer_->set_value(shown());
    const std::uint32_t layer = layers_[shown()];
    const nlohmann::json part = workbench().option("weights.part", "gate"), compare = compared();
    norms_.want({{"part", part}});
    if (compare == "router")
      router_.want({{"layer", layer}});
    else if (compare == "cka")
      similarity_.want({{"layer", layer}, {"measure", "cka"}, {"part", part}});
    else
      similarity_.want({{"layer", layer}, {"measure", "cosine"}});
    spectra_.want({{"layer", layer}, {"part", part}, {"values", shown_values}});
    header().set_n(tr("n = %1 experts").arg(spec.layers[layer].experts));
    draw_norms();
    draw_matrix();
    draw_spectra();
  }

  [[nodiscard]] bool pending() const override {
    return norms_.waiting() || router_.waiting() || similarity_.waiting() || spectra_.waiting();
  }
  [[nodiscard]] FigureWidget* main_figure() override { return matrix_; }

 private:
  [[nodiscard]] const Workbench& workbench() const { return context().workbench; }
  [[nodiscard]] nlohmann::json compared() const { return workbench().option("weights.compare", "router"); }

  // Index, among the layers with experts, of the one that is shown: the selected expert's where one was selected since
  // the layer was last chosen by hand.
  [[nodiscard]] std::uint32_t shown() const {
    const std::uint32_t last = static_cast<std::uint32_t>(layers_.size()) - 1;
    if (followed_) return std::min(*followed_, last);
    return option_.is_number_unsigned() || (option_.is_number_integer() && option_.get<std::int64_t>() >= 0)
               ? static_cast<std::uint32_t>(std::min<std::uint64_t>(option_.get<std::uint64_t>(), last))
               : 0;
  }

  void follow() {
    const Selection& selection = view().shown_selection();
    if (selection.experts.empty()) return;
    const auto found = std::find(rows_.begin(), rows_.end(), selection.experts.back().row);
    if (found != rows_.end()) followed_ = static_cast<std::uint32_t>(found - rows_.begin());
  }

  [[nodiscard]] std::string layer_name() const { return "L" + std::to_string(layers_[shown()]); }
  [[nodiscard]] LayerExpertsOptions layer_options() const { return {rows_[shown()], layer_name()}; }

  void draw_norms() {
    if (layers_.empty()) return;
    const ResultPtr result = norms_.result();
    if (!result) return norms_.show_in(*norms_figure_);
    norms_figure_->set_builder(
        [result, options = ExpertNormsOptions{rows_, shown()}, selection = view().shown_selection()](
            double width, double height) { return expert_norms_figure(result, options, selection, width, height); });
  }

  void draw_matrix() {
    if (layers_.empty()) return;
    const bool router = compared() == "router";
    WeightsRequest& request = router ? router_ : similarity_;
    const ResultPtr result = request.result();
    if (!result) return request.show_in(*matrix_);
    ExpertMatrixOptions options;
    const bool cka = compared() == "cka";
    options.matrix = options.value_name = cka ? "cka" : "cosine";
    if (cka) options.value_name = "CKA";
    options.diverging = !cka;
    options.by_similarity = workbench().option("weights.order", "index") == "similarity";
    options.row = rows_[shown()];
    options.layer_name = layer_name();
    if (router) options.margin = "norm";
    matrix_->set_builder([result, options, selection = view().shown_selection()](double width, double height) {
      return expert_matrix_figure(result, options, selection, width, height);
    });
  }

  void draw_spectra() {
    if (layers_.empty()) return;
    const ResultPtr result = spectra_.result();
    if (!result) {
      spectra_.show_in(*spectra_figure_);
      rank_figure_->set_message({});
      return;
    }
    spectra_figure_->set_builder(
        [result, options = layer_options(), selection = view().shown_selection()](double width, double height) {
          return expert_spectra_figure(result, options, selection, width, height);
        });
    rank_figure_->set_builder(
        [result, options = layer_options(), selection = view().shown_selection()](double width, double height) {
          return expert_bars_figure(result, "stable_rank", options, selection, width, height);
        });
  }

  WeightsRequest norms_, router_, similarity_, spectra_;
  ChoiceBox* layer_ = nullptr;
  FigureWidget *matrix_ = nullptr, *norms_figure_ = nullptr, *spectra_figure_ = nullptr, *rank_figure_ = nullptr;
  std::vector<std::uint32_t> layers_;
  std::vector<std::optional<std::uint32_t>> rows_;
  nlohmann::json option_ = 0;
  std::optional<std::uint32_t> followed_;
};

}  // namespace

WeightsPage* make_expert_page(ViewContext& context, View& view, QWidget* parent) {
  return new ExpertPage(context, view, parent);
}

}  // namespace moescope
