// The Weights view's second page: every stored tensor, with search.
#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QHeaderView>
#include <QLineEdit>
#include <QSaveFile>
#include <QShortcut>
#include <QTableView>
#include <algorithm>
#include <set>

#include "views/common/figure_widget.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/text.h"
#include "views/weights/tensor_model.h"
#include "views/weights/weights_page.h"
#include "views/weights/weights_request.h"

namespace moescope {
namespace {

class TensorPage : public WeightsPage {
 public:
  TensorPage(ViewContext& context, View& view, QWidget* parent)
      : WeightsPage(context, view,
                    tr("Every tensor in the checkpoint's files, read from their headers. The search keeps tensors "
                       "whose name, type, shape or file hold all its words: \"layers.3. experts down\". Click a head "
                       "to sort; Ctrl+C copies the selected rows."),
                    parent),
        list_(context, "tensors", [this] { arrived(); }),
        model_(new TensorModel(this)) {
    search_ = new QLineEdit(this);
    search_->setFont(mono_font(12.5));
    search_->setPlaceholderText(tr("Search tensors, for example: layers.3. experts down"));
    search_->setClearButtonEnabled(true);
    search_->setAccessibleName(tr("Search tensors"));
    auto* row = new QHBoxLayout;
    row->setContentsMargins(16, 10, 16, 8);
    row->addWidget(search_);
    column().addLayout(row);
    table_ = new QTableView(this);
    table_->setModel(model_);
    table_->setShowGrid(false);
    table_->setWordWrap(false);
    table_->setSelectionBehavior(QAbstractItemView::SelectRows);
    table_->setSelectionMode(QAbstractItemView::ExtendedSelection);
    table_->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    table_->verticalHeader()->hide();
    table_->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    table_->verticalHeader()->setDefaultSectionSize(23);
    QHeaderView* head = table_->horizontalHeader();
    head->setFont(ui_font(11));
    head->setHighlightSections(false);
    head->setSectionsClickable(true);
    head->setSortIndicatorShown(true);
    head->setSortIndicator(-1, Qt::AscendingOrder);
    head->setSectionResizeMode(QHeaderView::Interactive);
    head->setSectionResizeMode(0, QHeaderView::Stretch);
    const int widths[] = {0, 84, 170, 130, 130, 280};
    for (int c = 1; c < 6; ++c) table_->setColumnWidth(c, widths[c]);
    table_->setSortingEnabled(true);
    table_->setAccessibleName(tr("Tensors"));
    column().addWidget(table_, 1);
    message_ = new FigureWidget(context, this);
    column().addWidget(message_, 1);
    message_->hide();
    connect(search_, &QLineEdit::textChanged, this, [this](const QString& text) {
      model_->set_search(text);
      show_count();
    });
    auto* copy = new QShortcut(QKeySequence::Copy, table_);
    copy->setContext(Qt::WidgetShortcut);
    connect(copy, &QShortcut::activated, this, [this] { copy_rows(); });
    table_->setContextMenuPolicy(Qt::CustomContextMenu);
    connect(table_, &QTableView::customContextMenuRequested, this, [this](QPoint at) {
      QMenu menu(this);
      fill(menu);
      menu.exec(table_->viewport()->mapToGlobal(at));
    });
    header().set_table_actions([this] { copy_rows(); }, [this](QMenu& menu) { fill(menu); });
  }

  void refresh(Changes) override {
    header().sync();
    list_.want({{"most", std::max<std::size_t>(1, checkpoint().tensors().size())}});
  }
  [[nodiscard]] bool pending() const override { return list_.waiting(); }

 private:
  void arrived() {
    const ResultPtr& result = list_.result();
    table_->setVisible(result != nullptr);
    message_->setVisible(result == nullptr);
    model_->set_result(result);
    if (!result) list_.show_in(*message_);
    show_count();
  }

  void show_count() {
    const auto shown = static_cast<std::size_t>(model_->rowCount());
    const QString n =
        shown == model_->all() ? count_text(shown) : tr("%1 of %2").arg(count_text(shown), count_text(model_->all()));
    header().set_n(tr("n = %1 tensors, %2").arg(n, byte_text(model_->shown_bytes())));
  }

  // The selected rows, or all that are shown, with tabs between the columns.
  void copy_rows() {
    std::set<int> rows;
    for (const QModelIndex& index : table_->selectionModel()->selectedRows()) rows.insert(index.row());
    if (rows.empty()) {
      QApplication::clipboard()->setText(model_->csv());
      return;
    }
    QStringList lines;
    for (const int row : rows) {
      QStringList cells;
      for (int c = 0; c < model_->columnCount(); ++c)
        cells << model_->data(model_->index(row, c), Qt::DisplayRole).toString();
      lines << cells.join(QLatin1Char('\t'));
    }
    QApplication::clipboard()->setText(lines.join(QLatin1Char('\n')));
  }

  void fill(QMenu& menu) {
    const ResultPtr& result = list_.result();
    const bool some = table_->selectionModel()->hasSelection();
    menu.addAction(icon(QStringLiteral("copy")), some ? tr("Copy selected rows") : tr("Copy all as CSV"),
                   [this] { copy_rows(); })
        ->setEnabled(result != nullptr);
    menu.addAction(tr("Save as CSV…"), [this] { save(); })->setEnabled(result != nullptr);
    menu.addSeparator();
    const QString line = result ? QString::fromStdString(result->provenance.command_line) : QString();
    menu.addAction(icon(QStringLiteral("log")), tr("Copy as command line"),
                   [line] { QApplication::clipboard()->setText(line); })
        ->setEnabled(!line.isEmpty());
  }

  void save() {
    QString path =
        QFileDialog::getSaveFileName(this, tr("Save the list"), QStringLiteral("tensors.csv"), QStringLiteral("*.csv"));
    if (path.isEmpty()) return;
    if (!path.endsWith(QLatin1String(".csv"))) path += QStringLiteral(".csv");
    QSaveFile file(path);
    const QByteArray bytes = model_->csv().toUtf8();
    if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit()) return;
    context().show_error({ErrorKind::input, "cannot write the file: " + file.errorString().toStdString(),
                          path.toStdString(), "Choose a folder that you may write to."});
  }

  WeightsRequest list_;
  TensorModel* model_;
  QLineEdit* search_ = nullptr;
  QTableView* table_ = nullptr;
  FigureWidget* message_ = nullptr;
};

}  // namespace

WeightsPage* make_tensor_page(ViewContext& context, View& view, QWidget* parent) {
  return new TensorPage(context, view, parent);
}

}  // namespace moescope
