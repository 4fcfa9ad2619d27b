#include "views/weights/weights_view.h"

#include <QStackedWidget>
#include <array>

#include "views/common/figure_widget.h"
#include "views/weights/weights_page.h"

namespace moescope {
namespace {

class WeightsView : public View {
 public:
  explicit WeightsView(ViewContext& context) : View(context), pages_(new QStackedWidget(this)) {
    setMinimumWidth(480);  // pages are wider; a hidden one must not widen the window
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(pages_);
    list_ = {make_model_page(context, *this, pages_), make_tensor_page(context, *this, pages_),
             make_expert_page(context, *this, pages_)};
    for (WeightsPage* page : list_) pages_->addWidget(page);
    empty_ = new FigureWidget(context, pages_);
    pages_->addWidget(empty_);
  }

  [[nodiscard]] bool pending() const override { return shown() && shown()->pending(); }
  [[nodiscard]] FigureWidget* main_figure() override { return shown() ? shown()->main_figure() : nullptr; }

 protected:
  void changed(Changes changes) override {
    const Source* source = workbench().active_checkpoint();
    if (!source || !source->checkpoint) {
      if (source && source->error)
        empty_->set_message(QString::fromStdString(source->error->what), QString::fromStdString(source->error->advice));
      else
        empty_->set_message(tr("No checkpoint yet"), tr("Open a checkpoint folder or a GGUF file (Ctrl+O)."));
      pages_->setCurrentWidget(empty_);
      return;
    }
    const nlohmann::json name = workbench().option("weights.page", "model");
    WeightsPage* page = list_[name == "tensors" ? 1 : name == "experts" ? 2 : 0];
    // What a hidden page missed, it is told when it is shown.
    if (pages_->currentWidget() != page) changes = ~Changes{0};
    pages_->setCurrentWidget(page);
    page->refresh(changes);
  }

 private:
  [[nodiscard]] WeightsPage* shown() const {
    for (WeightsPage* page : list_)
      if (pages_->currentWidget() == page) return page;
    return nullptr;
  }

  QStackedWidget* pages_;
  std::array<WeightsPage*, 3> list_{};
  FigureWidget* empty_ = nullptr;
};

}  // namespace

ViewSpec weights_view_spec() {
  return {QStringLiteral("weights"), QObject::tr("Weights"), QStringLiteral("weights"), true,
          [](ViewContext& context) -> View* { return new WeightsView(context); }};
}

}  // namespace moescope
