// What the pages of the Weights view have in common: a header that switches between them, and one checkpoint to show.
// Main thread only.
#pragma once

#include <QVBoxLayout>
#include <QWidget>

#include "views/common/view.h"
#include "views/common/view_header.h"

namespace moescope {

class FigureWidget;

class WeightsPage : public QWidget {
 public:
  WeightsPage(ViewContext& context, View& view, const QString& help, QWidget* parent)
      : QWidget(parent), context_(context), view_(view) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    header_ = new ViewHeader(context, view, help, this);
    header_->add_segmented({}, "weights.page",
                           {{"model", tr("Model"), tr("What the model is: family, router, sizes, layers")},
                            {"tensors", tr("Tensors"), tr("Every stored tensor, with search")},
                            {"experts", tr("Experts"), tr("Norms, similarity and spectra of the experts' weights")}},
                           "model");
    column->addWidget(header_);
  }

  // Shows what there is now; called while the page is shown. The workbench has an active checkpoint.
  virtual void refresh(Changes changes) = 0;
  [[nodiscard]] virtual bool pending() const = 0;
  [[nodiscard]] virtual FigureWidget* main_figure() { return nullptr; }

 protected:
  [[nodiscard]] ViewContext& context() const { return context_; }
  [[nodiscard]] View& view() const { return view_; }
  [[nodiscard]] ViewHeader& header() const { return *header_; }
  [[nodiscard]] const Checkpoint& checkpoint() const { return *context_.workbench.active_checkpoint()->checkpoint; }
  [[nodiscard]] QVBoxLayout& column() const { return *static_cast<QVBoxLayout*>(layout()); }

 private:
  ViewContext& context_;
  View& view_;
  ViewHeader* header_;
};

// Model: facts in words, parameters by part, memory by type, layer map.
[[nodiscard]] WeightsPage* make_model_page(ViewContext& context, View& view, QWidget* parent);
// Tensors: every stored tensor in a table with search.
[[nodiscard]] WeightsPage* make_tensor_page(ViewContext& context, View& view, QWidget* parent);
// Experts: norms of all layers, and of one layer the experts' likeness, spectra and stable ranks.
[[nodiscard]] WeightsPage* make_expert_page(ViewContext& context, View& view, QWidget* parent);

}  // namespace moescope
