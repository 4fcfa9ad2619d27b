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
      run_(new QPushButton(tr("Run"), this)) {
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
  bottom->addSpacing(8);
  bottom->addWidget(about_, 1);
  grid->addLayout(bottom, 2, 0, 1, 2);
  grid->setColumnStretch(0, 1);
  grid->setColumnStretch(1, 1);

  connect(edit_, &QPlainTextEdit::textChanged, this, [this] { refresh(); });
  connect(run_, &QPushButton::clicked, this, [this] { run(); });
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  hide();
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
    return;
  }
  run_->setEnabled(!given.empty());
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
