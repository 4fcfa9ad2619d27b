#include "views/shell/open_source.h"

#include <QDialog>
#include <QDialogButtonBox>
#include <QFileInfo>
#include <QLabel>
#include <QRadioButton>
#include <QVBoxLayout>

#include "core/trace/import/importer.h"

namespace moescope {
namespace {

// The name of the format that was chosen; empty when the dialog was cancelled.
std::string ask_format(QWidget* parent, const QString& path, const std::vector<ImportCandidate>& fits) {
  QDialog dialog(parent);
  dialog.setObjectName(QStringLiteral("choose_format"));
  dialog.setWindowTitle(QObject::tr("Which format is it?"));
  auto* column = new QVBoxLayout(&dialog);
  auto* question =
      new QLabel(QObject::tr("%1 fits several formats equally well.").arg(QFileInfo(path).fileName()), &dialog);
  question->setWordWrap(true);
  column->addWidget(question);
  std::vector<QRadioButton*> choices;
  for (const ImportCandidate& fit : fits) {
    choices.push_back(new QRadioButton(QString::fromStdString(fit.importer->title), &dialog));
    choices.back()->setToolTip(QString::fromStdString(fit.importer->layout));
    column->addWidget(choices.back());
    auto* reason = new QLabel(QString::fromStdString(fit.score.reason), &dialog);
    reason->setProperty("role", "hint");
    reason->setIndent(24);
    column->addWidget(reason);
  }
  choices.front()->setChecked(true);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Open | QDialogButtonBox::Cancel, &dialog);
  QObject::connect(buttons, &QDialogButtonBox::accepted, &dialog, &QDialog::accept);
  QObject::connect(buttons, &QDialogButtonBox::rejected, &dialog, &QDialog::reject);
  column->addWidget(buttons);
  if (dialog.exec() != QDialog::Accepted) return {};
  for (std::size_t i = 0; i < fits.size(); ++i) {
    if (choices[i]->isChecked()) return fits[i].importer->name;
  }
  return {};
}

}  // namespace

bool open_source(const ViewContext& context, QWidget* parent, const QString& path) {
  if (path.endsWith(QLatin1String(".moescope"))) return context.run("session.open", {{"path", path.toStdString()}});
  nlohmann::json arguments = {{"path", path.toStdString()}};
  if (QFileInfo(path).isFile()) {
    const auto fits = import_candidates(path.toStdString());
    if (fits && fits->size() > 1) {
      const std::string format = ask_format(parent, path, *fits);
      if (format.empty()) return false;
      arguments["format"] = format;
    }
  }
  return context.run("source.open", arguments);
}

}  // namespace moescope
