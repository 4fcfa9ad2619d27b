#include "views/shell/notes_dialog.h"

#include <QDialog>
#include <QDialogButtonBox>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>
#include <optional>

#include "views/common/fonts.h"
#include "views/common/text.h"

namespace moescope {
namespace {

struct NoteText {
  std::string anchor, text;
  bool remove = false;
};

std::optional<NoteText> ask(QWidget& window, const QString& title, const NoteText& start, bool removable) {
  QDialog dialog(&window);
  dialog.setWindowTitle(title);
  dialog.resize(480, 280);
  auto* column = new QVBoxLayout(&dialog);
  auto* anchor = new QLineEdit(QString::fromStdString(start.anchor), &dialog);
  anchor->setFont(mono_font(12));
  anchor->setPlaceholderText(QObject::tr("On what: L3·E04, token 106, or empty for the session"));
  anchor->setReadOnly(removable);
  auto* text = new QPlainTextEdit(QString::fromStdString(start.text), &dialog);
  text->setPlaceholderText(QObject::tr("What you found"));
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Save | QDialogButtonBox::Cancel, &dialog);
  buttons->button(QDialogButtonBox::Save)->setProperty("primary", true);
  bool remove = false;
  if (removable) {
    auto* button = buttons->addButton(QObject::tr("Remove"), QDialogButtonBox::DestructiveRole);
    QObject::connect(button, &QPushButton::clicked, &dialog, [&] {
      remove = true;
      dialog.accept();
    });
  }
  QObject::connect(buttons, &QDialogButtonBox::accepted, &dialog, &QDialog::accept);
  QObject::connect(buttons, &QDialogButtonBox::rejected, &dialog, &QDialog::reject);
  column->addWidget(anchor);
  column->addWidget(text, 1);
  column->addWidget(buttons);
  text->setFocus();
  if (dialog.exec() != QDialog::Accepted) return std::nullopt;
  return NoteText{anchor->text().toStdString(), text->toPlainText().toStdString(), remove};
}

std::string selected_anchor(const ViewContext& context) {
  const Trace* trace = context.trace();
  const Selection& selection = context.workbench.selection();
  if (!trace) return {};
  if (!selection.experts.empty()) return expert_text(*trace, selection.experts.back()).toStdString();
  if (selection.token) return "token " + std::to_string(*selection.token);
  return {};
}

}  // namespace

void add_note(ViewContext& context, QWidget& window) {
  const auto note = ask(window, QObject::tr("Add a note"), {selected_anchor(context), {}, false}, false);
  if (note && !note->text.empty()) context.run("note.add", {{"anchor", note->anchor}, {"text", note->text}});
}

void edit_note(ViewContext& context, QWidget& window, std::int64_t id) {
  const auto& notes = context.workbench.annotations();
  const auto found = std::find_if(notes.begin(), notes.end(), [&](const Annotation& n) { return n.id == id; });
  if (found == notes.end()) return;
  const auto note = ask(window, QObject::tr("Note"), {found->anchor, found->text, false}, true);
  if (!note) return;
  if (note->remove)
    context.run("note.remove", {{"id", id}});
  else
    context.run("note.edit", {{"id", id}, {"text", note->text}});
}

}  // namespace moescope
