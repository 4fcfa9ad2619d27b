#include "views/shell/prompt_panel.h"

#include <QGridLayout>
#include <QKeyEvent>

#include "core/model/chat_format.h"
#include "views/common/fonts.h"
#include "views/common/text.h"

namespace moescope {

PromptPanel::PromptPanel(ViewContext& context, QWidget* parent)
    : QWidget(parent),
      context_(context),
      edit_(new QPlainTextEdit(this)),
      preview_(new QPlainTextEdit(this)),
      format_(new ChoiceBox(this)),
      about_(new QLabel(this)),
      run_(new QPushButton(tr("Run"), this)),
      generate_(new QPushButton(tr("Generate"), this)),
      tokens_(new QSpinBox(this)),
      seed_(new QSpinBox(this)),
      temperature_(new QDoubleSpinBox(this)),
      top_p_(new QDoubleSpinBox(this)),
      stop_(new QCheckBox(tr("Stop at the end of the text"), this)) {
  setObjectName(QStringLiteral("prompt"));
  setAttribute(Qt::WA_StyledBackground);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(16, 10, 16, 10);
  grid->setHorizontalSpacing(16);
  grid->setVerticalSpacing(6);
  const auto head = [&](const QString& text) {
    auto* label = new QLabel(text, this);
    label->setFont(ui_font(12, 600));
    return label;
  };
  edit_->setFont(mono_font(13));
  edit_->setFixedHeight(84);
  edit_->setPlaceholderText(tr("Type a text. Ctrl+Enter runs it."));
  edit_->setAccessibleName(tr("Prompt"));
  edit_->installEventFilter(this);
  preview_->setFont(mono_font(12));
  preview_->setFixedHeight(84);
  preview_->setReadOnly(true);
  preview_->setAccessibleName(tr("What the model is given"));
  std::vector<Choice> choices;
  for (const ChatFormat& format : chat_formats())
    choices.push_back({format.name, QString::fromStdString(format.title), QString::fromStdString(format.help)});
  format_->set_choices(choices);
  format_->set_on_change([this](const nlohmann::json&) { refresh(); });
  run_->setProperty("primary", true);
  about_->setFont(ui_font(12));
  about_->setProperty("role", "hint");
  auto* close = icon_button(QStringLiteral("close"), tr("Close this panel (Esc)"), this);
  close->setFixedSize(22, 22);

  auto* top = new QHBoxLayout;
  top->addWidget(head(tr("Prompt")));
  top->addSpacing(12);
  auto* as = new QLabel(tr("Format"), this);
  as->setFont(ui_font(12));
  top->addWidget(as);
  top->addWidget(format_);
  top->addStretch(1);
  grid->addLayout(top, 0, 0);
  auto* right = new QHBoxLayout;
  right->addWidget(head(tr("What the model is given")));
  right->addStretch(1);
  right->addWidget(close);
  grid->addLayout(right, 0, 1);
  grid->addWidget(edit_, 1, 0);
  grid->addWidget(preview_, 1, 1);
  auto* bottom = new QHBoxLayout;
  bottom->addWidget(run_);
  bottom->addWidget(about_, 1);
  bottom->addLayout(make_generate_row());
  grid->addLayout(bottom, 2, 0, 1, 2);
  grid->setColumnStretch(0, 1);
  grid->setColumnStretch(1, 1);

  connect(edit_, &QPlainTextEdit::textChanged, this, [this] { refresh(); });
  connect(run_, &QPushButton::clicked, this, [this] { run(); });
  connect(generate_, &QPushButton::clicked, this, [this] { generate(); });
  connect(temperature_, &QDoubleSpinBox::valueChanged, this, [this](double value) {
    top_p_->setEnabled(value > 0);
    seed_->setEnabled(value > 0);
  });
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  hide();
}

QHBoxLayout* PromptPanel::make_generate_row() {
  auto* row = new QHBoxLayout;
  row->setSpacing(6);
  const auto field = [&](const QString& text, QAbstractSpinBox* box, int wide, const QString& tip) {
    auto* label = new QLabel(text, this);
    label->setFont(ui_font(12));
    box->setFont(mono_font(12));
    box->setFixedWidth(wide);
    box->setButtonSymbols(QAbstractSpinBox::NoButtons);
    box->setToolTip(tip);
    box->setAccessibleName(text);
    row->addWidget(label);
    row->addWidget(box);
    row->addSpacing(6);
  };
  tokens_->setRange(1, 100'000);
  tokens_->setValue(64);
  temperature_->setRange(0, 10);
  temperature_->setSingleStep(0.1);
  temperature_->setDecimals(2);
  top_p_->setRange(0.01, 1);
  top_p_->setSingleStep(0.05);
  top_p_->setDecimals(2);
  top_p_->setValue(1);
  seed_->setRange(0, 1'000'000'000);
  seed_->setValue(1);
  stop_->setChecked(true);
  stop_->setFont(ui_font(12));
  for (QWidget* box : {static_cast<QWidget*>(top_p_), static_cast<QWidget*>(seed_)}) box->setEnabled(false);
  field(tr("Tokens"), tokens_, 66, tr("Most tokens to generate"));
  field(tr("Temperature"), temperature_, 52, tr("0 = always the most likely token"));
  field(tr("Top-p"), top_p_, 52, tr("Draw among the most likely tokens that together have this probability"));
  field(tr("Seed"), seed_, 66, tr("The same seed draws the same tokens"));
  row->addWidget(stop_);
  row->addSpacing(10);
  generate_->setToolTip(tr("Continue the text; its tokens and their routes appear while it runs"));
  row->addWidget(generate_);
  return row;
}

void PromptPanel::open() {
  show();
  refresh();
  edit_->setFocus();
}

void PromptPanel::refresh() {
  const std::string format = format_->value().is_string() ? format_->value().get<std::string>() : "raw";
  const std::string typed = edit_->toPlainText().toStdString();
  const std::string given = typed.empty() ? std::string() : wrap(format, typed).value_or(typed);
  preview_->setPlainText(QString::fromStdString(given));
  const Source* source = context_.workbench.active_checkpoint();
  if (!source || !source->checkpoint) {
    about_->setText(tr("Open a checkpoint to run a prompt on."));
    run_->setEnabled(false);
    generate_->setEnabled(false);
    return;
  }
  run_->setEnabled(!given.empty());
  generate_->setEnabled(!given.empty());
  QString about = tr("Runs on %1").arg(QString::fromStdString(source->name));
  if (const Tokenizer* tokenizer = source->checkpoint->tokenizer(); tokenizer && !given.empty()) {
    if (const auto encoded = tokenizer->encode(given, find_chat_format(format)->tokenizer_template))
      about += tr(" · %1 tokens").arg(count_text(encoded->ids.size()));
  }
  about_->setText(about);
}

void PromptPanel::run() {
  const std::string text = edit_->toPlainText().toStdString();
  if (text.empty()) return;
  context_.run("run.prompt", {{"text", text}, {"format", format_->value()}});
}

void PromptPanel::generate() {
  const std::string text = edit_->toPlainText().toStdString();
  if (text.empty()) return;
  context_.run("run.generate", {{"text", text},
                                {"format", format_->value()},
                                {"max_tokens", tokens_->value()},
                                {"temperature", temperature_->value()},
                                {"top_p", top_p_->value()},
                                {"seed", seed_->value()},
                                {"keep_going", !stop_->isChecked()}});
}

bool PromptPanel::eventFilter(QObject* object, QEvent* event) {
  if (object == edit_ && event->type() == QEvent::ShortcutOverride &&
      static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
    event->accept();
    return true;
  }
  if (object == edit_ && event->type() == QEvent::KeyPress) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if (key->key() == Qt::Key_Escape) {
      hide();
      return true;
    }
    if ((key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) &&
        (key->modifiers() & Qt::ControlModifier) != 0) {
      run();
      return true;
    }
  }
  return QWidget::eventFilter(object, event);
}

}  // namespace moescope
