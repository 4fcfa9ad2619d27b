#include "views/shell/command_runner.h"

#include <QDialog>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QVBoxLayout>

#include "views/common/fonts.h"
#include "views/shell/open_source.h"

namespace moescope {
namespace {

const QString session_pattern = QStringLiteral("MoEScope sessions (*.moescope);;All files (*)");

// Text typed into a form, as JSON where it reads as a number, a truth value or a list, else as text.
nlohmann::json value_of(const QString& text) {
  const std::string utf8 = text.toStdString();
  auto parsed = nlohmann::json::parse(utf8, nullptr, false);
  if (!parsed.is_discarded() && !parsed.is_string()) return parsed;
  return utf8;
}

}  // namespace

CommandRunner::CommandRunner(ViewContext& context, QWidget& window) : context_(context), window_(window) {}

void CommandRunner::open_files(const CommandSpec& spec) {
  const QStringList paths = QFileDialog::getOpenFileNames(
      &window_, QString::fromStdString(spec.title), {},
      QObject::tr("Models, traces and sessions (*.safetensors *.json *.jsonl *.npy *.npz *.csv *.pt *.gguf *.txt *.bin "
                  "*.moescope);;All files (*)"));
  for (const QString& path : paths) open_source(context_, &window_, path);
}

void CommandRunner::invoke(const std::string& id) {
  const CommandSpec* spec = context_.workbench.commands().find(id);
  if (!spec) return;
  if (spec->unavailable) {
    if (const std::string reason = spec->unavailable(); !reason.empty()) {
      context_.show_error(Error{ErrorKind::usage, spec->title + " cannot run now: " + reason, {}, {}});
      return;
    }
  }
  if (const auto opener = openers_.find(id); opener != openers_.end()) return opener->second();
  if (id == "source.open") return open_files(*spec);
  nlohmann::json arguments = nlohmann::json::object();
  // Their arguments only name something other than the usual.
  const bool runs_bare = id == "session.new" || id == "session.recover" || id == "job.cancel";
  if (id == "session.open" || id == "session.save_as") {
    const QString title = QString::fromStdString(spec->title);
    QString path = id == "session.open" ? QFileDialog::getOpenFileName(&window_, title, {}, session_pattern)
                                        : QFileDialog::getSaveFileName(&window_, title, {}, session_pattern);
    if (path.isEmpty()) return;
    if (id != "session.open" && !path.contains(QLatin1Char('.'))) path += QStringLiteral(".moescope");
    arguments["path"] = path.toStdString();
  } else if (!runs_bare && !spec->arguments.empty() && !ask(*spec, arguments)) {
    return;
  }
  context_.run(id, arguments);
}

bool CommandRunner::ask(const CommandSpec& spec, nlohmann::json& arguments) {
  QDialog dialog(&window_);
  dialog.setWindowTitle(QString::fromStdString(spec.title));
  dialog.setMinimumWidth(460);
  auto* column = new QVBoxLayout(&dialog);
  auto* help = new QLabel(QString::fromStdString(spec.help), &dialog);
  help->setWordWrap(true);
  column->addWidget(help);
  auto* form = new QFormLayout;
  column->addLayout(form);
  std::vector<std::pair<std::string, QLineEdit*>> fields;
  for (const auto& [name, text] : spec.arguments) {
    auto* edit = new QLineEdit(&dialog);
    edit->setFont(mono_font(12));
    edit->setPlaceholderText(QString::fromStdString(text));
    edit->setToolTip(QString::fromStdString(text));
    form->addRow(QString::fromStdString(name), edit);
    fields.emplace_back(name, edit);
    if (name == "path" || name.ends_with("file")) {
      auto* browse = new QPushButton(QObject::tr("Browse…"), &dialog);
      QObject::connect(browse, &QPushButton::clicked, &dialog, [&dialog, edit] {
        const QString path =
            QFileDialog::getSaveFileName(&dialog, {}, edit->text(), {}, nullptr, QFileDialog::DontConfirmOverwrite);
        if (!path.isEmpty()) edit->setText(path);
      });
      form->addRow(QString(), browse);
    }
  }
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel, &dialog);
  buttons->button(QDialogButtonBox::Ok)->setProperty("primary", true);
  QObject::connect(buttons, &QDialogButtonBox::accepted, &dialog, &QDialog::accept);
  QObject::connect(buttons, &QDialogButtonBox::rejected, &dialog, &QDialog::reject);
  column->addWidget(buttons);
  if (dialog.exec() != QDialog::Accepted) return false;
  for (const auto& [name, edit] : fields)
    if (!edit->text().isEmpty()) arguments[name] = value_of(edit->text());
  return true;
}

}  // namespace moescope
