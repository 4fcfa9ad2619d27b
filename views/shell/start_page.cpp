#include "views/shell/start_page.h"

#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QLocale>
#include <QPushButton>

#include "core/base/threads.h"
#include "core/base/version.h"
#include "views/common/controls.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/shell/open_source.h"
#include "views/shell/start_art.h"
#include "views/shell/start_parts.h"

namespace moescope {

StartPage::StartPage(ViewContext& context, QWidget* parent) : QScrollArea(parent), context_(context) {
  setWidgetResizable(true);
  setObjectName(QStringLiteral("start"));
  body_ = new QWidget(this);
  setWidget(body_);
  auto* outer = new QHBoxLayout(body_);
  outer->setContentsMargins(32, 40, 32, 24);
  outer->addStretch(1);
  auto* column = new QVBoxLayout;
  column->setSpacing(12);
  outer->addLayout(column, 8);
  outer->addSpacing(20);
  outer->addWidget(side_column(), 0, Qt::AlignTop);
  outer->addStretch(1);

  auto* title = new QHBoxLayout;
  title->setSpacing(12);
  title->addWidget(text_label(QStringLiteral("MoEScope"), ui_font(22, 600), "head", body_), 0, Qt::AlignBaseline);
  title->addWidget(text_label(QString::fromLatin1(version_text), ui_font(13), "hint", body_), 1, Qt::AlignBaseline);
  column->addLayout(title);
  column->addWidget(text_label(tr("Open a model or a routing trace, see where every token goes, leave with a report."),
                               ui_font(13), "", body_));
  column->addSpacing(8);
  column->addWidget(sample_card());
  auto* cards = new QHBoxLayout;
  cards->setSpacing(12);
  cards->addWidget(open_card(QStringLiteral("checkpoint"), tr("Open checkpoint…"), QStringLiteral("Ctrl+O"),
                             tr("A safetensors folder. Only headers are read, then you choose what to run."),
                             QStringLiteral("source.open")));
  cards->addWidget(open_card(QStringLiteral("trace"), tr("Open trace…"), QStringLiteral("Ctrl+O"),
                             tr("A routing trace of any run. The format is found by its content."),
                             QStringLiteral("source.open")));
  cards->addWidget(open_card(QStringLiteral("session"), tr("Open session…"), QStringLiteral("Ctrl+Shift+O"),
                             tr("Everything as you left it: filters, notes and layout."),
                             QStringLiteral("session.open")));
  column->addLayout(cards);

  auto* drop = new Card(ColorRole::control_border, true, {}, body_);
  drop->setFixedHeight(72);
  auto* drop_row = new QHBoxLayout(drop);
  drop_row->addStretch(1);
  drop_row->addWidget(picture(QStringLiteral("drop"), 22, ColorRole::text_2, drop));
  drop_row->addSpacing(8);
  QLabel* drop_text = text_label(tr("Drop files or a folder here"), ui_font(13), "", drop);
  drop_text->setWordWrap(false);
  drop_row->addWidget(drop_text);
  QLabel* drop_hint = text_label(tr("checkpoints, traces and sessions, several at once"), ui_font(12), "hint", drop);
  drop_hint->setWordWrap(false);
  drop_row->addSpacing(6);
  drop_row->addWidget(drop_hint);
  drop_row->addStretch(1);
  column->addWidget(drop);
  column->addSpacing(10);
  recent_ = new QVBoxLayout;
  recent_->setSpacing(0);
  column->addLayout(recent_);
  column->addStretch(1);
  refresh();
}

QWidget* StartPage::sample_card() {
  auto* card = new Card(ColorRole::accent, false, {}, body_);
  card->setFixedHeight(160);
  auto* row = new QHBoxLayout(card);
  row->setContentsMargins(16, 12, 1, 1);
  row->setSpacing(16);
  auto* column = new QVBoxLayout;
  column->setSpacing(6);
  auto* head = new QHBoxLayout;
  head->setSpacing(10);
  head->addWidget(picture(QStringLiteral("sample"), 22, ColorRole::accent, card));
  head->addWidget(text_label(tr("Sample"), ui_font(13, 600), "head", card), 1);
  column->addLayout(head);
  QLabel* text =
      text_label(tr("A small mixture-of-experts model that was trained for this program, and its routing over "
                    "texts in several domains. Already here."),
                 ui_font(12), "", card);
  text->setFixedWidth(216);
  column->addWidget(text, 1, Qt::AlignTop);
  auto* button = new QPushButton(tr("Open sample"), card);
  button->setProperty("primary", true);
  connect(button, &QPushButton::clicked, this, [this] { context_.invoke(QStringLiteral("sample.open")); });
  column->addWidget(button, 0, Qt::AlignLeft);
  column->addSpacing(10);
  row->addLayout(column);
  auto* art = new StartArt(card);
  art->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
  auto* art_box = new QVBoxLayout;
  art_box->setContentsMargins(0, 0, 0, 0);
  art_box->addWidget(art);
  row->addLayout(art_box, 1);
  row->setContentsMargins(16, 12, 12, 12);
  return card;
}

QWidget* StartPage::open_card(const QString& icon_name, const QString& title, const QString& shortcut,
                              const QString& text, const QString& command) {
  auto* card = new Card(
      ColorRole::control_border, false, [this, command] { context_.invoke(command); }, body_);
  card->setAccessibleName(title);
  card->setMinimumHeight(100);
  auto* grid = new QGridLayout(card);
  grid->setContentsMargins(16, 14, 16, 12);
  grid->setHorizontalSpacing(14);
  grid->addWidget(picture(icon_name, 22, ColorRole::text_2, card), 0, 0, Qt::AlignTop);
  QLabel* name = text_label(title, ui_font(13, 600), "head", card);
  name->setWordWrap(false);
  grid->addWidget(name, 0, 1);
  QLabel* keys = text_label(shortcut, mono_font(11), "hint", card);
  keys->setWordWrap(false);
  grid->addWidget(keys, 0, 2, Qt::AlignRight);
  grid->addWidget(text_label(text, ui_font(12), "", card), 1, 1, 1, 2, Qt::AlignTop);
  grid->setColumnStretch(1, 1);
  grid->setRowStretch(1, 1);
  return card;
}

QWidget* StartPage::side_column() {
  auto* side = new QWidget(body_);
  side->setFixedWidth(224);
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(0, 62, 0, 0);
  column->setSpacing(7);
  column->addWidget(text_label(tr("First five minutes"), ui_font(12, 600), "", side));
  column->addWidget(separator(side));
  const std::vector<std::pair<QString, QString>> steps = {
      {tr("Open the sample"), tr("its load, layer by layer")},
      {tr("Click an expert"), tr("its tokens, neighbours and domains")},
      {tr("Follow a token"), tr("its route through all layers")},
      {tr("Type a prompt"), tr("run the model, see its routes")},
      {tr("Export a report"), tr("one HTML or PDF file")}};
  int number = 1;
  for (const auto& [head, text] : steps) {
    auto* row = new QGridLayout;
    row->setHorizontalSpacing(12);
    row->setVerticalSpacing(1);
    row->addWidget(text_label(QString::number(number++), mono_font(12), "hint", side), 0, 0, Qt::AlignTop);
    row->addWidget(text_label(head, ui_font(13), "name", side), 0, 1);
    row->addWidget(text_label(text, ui_font(12), "hint", side), 1, 1);
    row->setColumnStretch(1, 1);
    column->addLayout(row);
    column->addWidget(separator(side));
  }
  column->addSpacing(20);
  column->addWidget(text_label(tr("This computer"), ui_font(12, 600), "", side));
  column->addWidget(text_label(tr("%1 cores").arg(usable_cores()), ui_font(12), "", side));
  column->addWidget(text_label(tr("%1 free").arg(byte_text(free_memory())), ui_font(12), "", side));
  return side;
}

// Sessions that an earlier run left behind unsaved: after a crash, or closed without saving.
void StartPage::add_recovery() {
  const auto left = context_.workbench.recoverable_sessions();
  if (left.empty()) return;
  auto* row = new QWidget(body_);
  row->setFixedHeight(36);
  auto* line = new QHBoxLayout(row);
  line->setContentsMargins(0, 0, 0, 0);
  line->setSpacing(12);
  line->addWidget(picture(QStringLiteral("info"), 16, ColorRole::accent, row));
  const QFileInfo newest(QString::fromStdString(left.front().string()));
  line->addWidget(
      text_label(
          tr("Unsaved work of %1 was kept.").arg(QLocale().toString(newest.lastModified(), QLocale::ShortFormat)),
          ui_font(13), "name", row),
      1);
  auto* recover = new QPushButton(tr("Take it up again"), row);
  connect(recover, &QPushButton::clicked, this, [this, path = left.front().string()] {
    context_.run("session.recover", {{"path", path}});
  });
  line->addWidget(recover);
  recent_->addWidget(row);
  recent_->addSpacing(10);
}

void StartPage::refresh() {
  while (QLayoutItem* item = recent_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  add_recovery();
  const auto files = context_.workbench.recent_files();
  if (files.empty()) return;
  recent_->addWidget(text_label(tr("Recent"), ui_font(12, 600), "", body_));
  recent_->addSpacing(6);
  recent_->addWidget(separator(body_));
  for (const auto& path : files) {
    const QFileInfo file(QString::fromStdString(path.string()));
    const bool there = file.exists();
    const bool session = file.suffix() == QLatin1String("moescope");
    const std::string text = path.string();
    auto* row = new QWidget(body_);
    row->setFixedHeight(35);
    auto* line = new QHBoxLayout(row);
    line->setContentsMargins(0, 0, 0, 0);
    line->setSpacing(12);
    line->addWidget(picture(there ? (session ? QStringLiteral("session")
                                             : (file.isDir() ? QStringLiteral("checkpoint") : QStringLiteral("trace")))
                                  : QStringLiteral("warning"),
                            16, there ? ColorRole::text_2 : ColorRole::text_3, row));
    auto* name = new QPushButton(file.fileName(), row);
    name->setProperty("quiet", true);
    name->setEnabled(there);
    connect(name, &QPushButton::clicked, this,
            [this, text] { open_source(context_, this, QString::fromStdString(text)); });
    line->addWidget(name);
    line->addStretch(1);
    line->addWidget(
        text_label(there ? QLocale().toString(file.lastModified(), QLocale::ShortFormat) : tr("file not found"),
                   ui_font(12), "hint", row));
    QLabel* folder = text_label(file.path().replace(QDir::homePath(), QStringLiteral("~")), mono_font(11), "hint", row);
    folder->setWordWrap(false);
    line->addWidget(folder);
    if (!there) {
      auto* locate = new QPushButton(tr("Locate…"), row);
      locate->setProperty("quiet", true);
      connect(locate, &QPushButton::clicked, this, [this] {
        const QString found = QFileDialog::getOpenFileName(this, tr("Locate the file"));
        if (!found.isEmpty()) open_source(context_, this, found);
      });
      line->addWidget(locate);
    }
    recent_->addWidget(row);
    recent_->addWidget(separator(body_));
  }
}

}  // namespace moescope
