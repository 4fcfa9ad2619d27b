// The Weights view's first page: the model card.
#include <QGridLayout>
#include <QScrollArea>
#include <set>
#include <vector>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/figure/model_card_figures.h"
#include "core/figure/number_format.h"
#include "views/common/figure_widget.h"
#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/weights/weights_page.h"
#include "views/weights/weights_request.h"

namespace moescope {
namespace {

// "48", or "48 to 96" where layers differ.
QString span_text(const ModelSpec& spec, const std::vector<std::uint32_t>& layers, std::uint32_t LayerSpec::*member) {
  std::uint32_t low = spec.layers[layers.front()].*member, high = low;
  for (const std::uint32_t l : layers) {
    low = std::min(low, spec.layers[l].*member);
    high = std::max(high, spec.layers[l].*member);
  }
  return low == high ? count_text(low) : QObject::tr("%1 to %2").arg(count_text(low), count_text(high));
}

struct CardFact {
  QString name, value;
  bool prose = false;  // words instead of numbers
};

std::vector<CardFact> card_facts(const Checkpoint& checkpoint) {
  const ModelSpec& spec = checkpoint.spec();
  const std::vector<std::uint32_t> layers = expert_layers(spec);
  const auto quantity = [](std::uint64_t n) { return QString::fromStdString(format_quantity(static_cast<double>(n))); };
  std::set<std::string> files;
  for (const auto& [name, view] : checkpoint.tensors()) files.insert(view.file);
  std::vector<CardFact> facts;
  const auto add = [&](const QString& name, const QString& value, bool prose = false) {
    facts.push_back({name, value, prose});
  };
  add(QObject::tr("Family"), QString::fromStdString(spec.family));
  add(QObject::tr("Parameters"), QObject::tr("%1 in all, %2 per token")
                                     .arg(quantity(spec.parameters_total()), quantity(spec.parameters_active())));
  add(QObject::tr("Layers"), QObject::tr("%1, %2 of them with experts").arg(spec.layers.size()).arg(layers.size()));
  if (!layers.empty()) {
    add(QObject::tr("Experts"),
        QObject::tr("%1 per layer, %2 per token, %3 shared, width %4")
            .arg(span_text(spec, layers, &LayerSpec::experts), span_text(spec, layers, &LayerSpec::k),
                 span_text(spec, layers, &LayerSpec::shared), span_text(spec, layers, &LayerSpec::intermediate)));
    std::set<std::string> rules;
    for (const std::uint32_t l : layers) rules.insert(router_rule_words(spec.layers[l].rule, spec.layers[l].k));
    for (const std::string& rule : rules) add(QObject::tr("Router"), QString::fromStdString(rule), true);
  }
  add(QObject::tr("Attention"),
      QObject::tr("%1 heads of %2, %3 key-value heads").arg(spec.heads).arg(spec.query_dim()).arg(spec.kv_heads));
  add(QObject::tr("Hidden size"), count_text(spec.hidden));
  add(QObject::tr("Vocabulary"),
      QObject::tr("%1 tokens").arg(count_text(spec.vocabulary)) +
          (spec.tied_embeddings ? QObject::tr(", output tied to the embedding") : QString()));
  if (spec.max_positions > 0) add(QObject::tr("Positions"), count_text(spec.max_positions));
  if (!spec.quantisation.empty()) add(QObject::tr("Quantised"), QString::fromStdString(spec.quantisation));
  const Tokenizer* tokenizer = checkpoint.tokenizer();
  add(QObject::tr("Tokenizer"),
      tokenizer ? QString::fromStdString(tokenizer->description())
      : checkpoint.tokenizer_error()
          ? QObject::tr("cannot be read: %1").arg(QString::fromStdString(checkpoint.tokenizer_error()->text()))
          : QObject::tr("none; runs take token ids"),
      true);
  add(QObject::tr("Files"),
      QObject::tr("%1 in %2, %3 tensors")
          .arg(byte_text(checkpoint.total_bytes()))
          .arg(files.size() == 1 ? QObject::tr("one file") : QObject::tr("%1 files").arg(files.size()))
          .arg(count_text(checkpoint.tensors().size())));
  add(QObject::tr("Folder"), QString::fromStdString(checkpoint.folder().string()), true);
  for (const std::string& note : checkpoint.notes()) add(QObject::tr("Note"), QString::fromStdString(note), true);
  for (const auto& [key, note] : spec.notes)
    add(QObject::tr("Note"), QStringLiteral("%1: %2").arg(QString::fromStdString(key), QString::fromStdString(note)),
        true);
  return facts;
}

class ModelPage : public WeightsPage {
 public:
  ModelPage(ViewContext& context, View& view, QWidget* parent)
      : WeightsPage(context, view,
                    tr("What the checkpoint is, read from its config and from the headers of its files. Parameters per "
                       "token are those that one token uses: all but the experts it does not choose. In the layer map "
                       "layers of one colour are alike in all but their number."),
                    parent),
        card_(context, "model_card", [this] { draw(); }) {
    auto* scroll = new QScrollArea(this);
    scroll->setObjectName(QStringLiteral("panel"));
    scroll->setWidgetResizable(true);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setFrameShape(QFrame::NoFrame);
    auto* body = new QWidget(scroll);
    body->setObjectName(QStringLiteral("panel_body"));
    body->setAttribute(Qt::WA_StyledBackground);
    scroll->setWidget(body);
    column().addWidget(scroll, 1);
    auto* row = new QHBoxLayout(body);
    row->setContentsMargins(20, 16, 20, 16);
    row->setSpacing(36);
    auto* left = new QVBoxLayout;
    left->setSpacing(10);
    name_ = new QLabel(body);
    name_->setFont(ui_font(17, 600));
    name_->setProperty("role", "head");
    name_->setTextFormat(Qt::PlainText);
    name_->setWordWrap(true);
    left->addWidget(name_);
    facts_box_ = new QWidget(body);
    facts_ = new QGridLayout(facts_box_);
    facts_->setContentsMargins(0, 0, 0, 0);
    facts_->setHorizontalSpacing(16);
    facts_->setVerticalSpacing(7);
    facts_->setColumnMinimumWidth(0, 84);
    facts_->setColumnStretch(1, 1);
    left->addWidget(facts_box_);
    left->addStretch(1);
    auto* right = new QVBoxLayout;
    right->setSpacing(22);
    for (FigureWidget** figure : {&parts_, &memory_, &layers_}) {
      *figure = new FigureWidget(context, body);
      (*figure)->set_fits_height(true);
      right->addWidget(*figure);
    }
    right->addStretch(1);
    row->addLayout(left, 5);
    row->addLayout(right, 7);
  }

  void refresh(Changes changes) override {
    header().sync();
    if (has(changes, Change::sources)) {
      name_->setText(QString::fromStdString(checkpoint().spec().name));
      show_facts();
      header().set_n(QString::fromStdString(checkpoint().spec().family) + QStringLiteral(" · ") +
                     byte_text(checkpoint().total_bytes()));
    }
    card_.want(nlohmann::json::object());
  }
  [[nodiscard]] bool pending() const override { return card_.waiting(); }
  [[nodiscard]] FigureWidget* main_figure() override { return parts_; }

 private:
  void show_facts() {
    while (QLayoutItem* item = facts_->takeAt(0)) {
      delete item->widget();
      delete item;
    }
    int row = 0;
    for (const CardFact& fact : card_facts(checkpoint())) {
      auto* name = new QLabel(fact.name, facts_box_);
      name->setFont(ui_font(12));
      auto* value = new QLabel(fact.value, facts_box_);
      value->setFont(fact.prose ? ui_font(13) : mono_font(12));
      value->setProperty("role", "name");
      value->setTextFormat(Qt::PlainText);
      value->setWordWrap(true);
      value->setTextInteractionFlags(Qt::TextSelectableByMouse);
      facts_->addWidget(name, row, 0, Qt::AlignTop);
      facts_->addWidget(value, row++, 1, Qt::AlignTop);
    }
  }

  void draw() {
    const ResultPtr& card = card_.result();
    for (FigureWidget* figure : {parts_, memory_, layers_})
      if (!card) card_.show_in(*figure);
    if (!card) return;
    parts_->set_builder([card](double w, double h) { return parameter_parts_figure(card, w, h); });
    memory_->set_builder([card](double w, double h) { return weight_memory_figure(card, w, h); });
    layers_->set_builder([card](double w, double h) { return layer_map_figure(card, w, h); });
  }

  WeightsRequest card_;
  QLabel* name_ = nullptr;
  QWidget* facts_box_ = nullptr;
  QGridLayout* facts_ = nullptr;
  FigureWidget *parts_ = nullptr, *memory_ = nullptr, *layers_ = nullptr;
};

}  // namespace

WeightsPage* make_model_page(ViewContext& context, View& view, QWidget* parent) {
  return new ModelPage(context, view, parent);
}

}  // namespace moescope
