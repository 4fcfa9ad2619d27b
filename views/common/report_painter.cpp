#include "views/common/report_painter.h"

#include <QFileInfo>
#include <QPainter>
#include <QSaveFile>
#include <QTextDocument>
#include <QTextLayout>
#include <algorithm>
#include <cmath>
#include <memory>

#include "views/common/figure_painter.h"
#include "views/common/fonts.h"
#include "views/common/report_pages.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

using namespace report_page;  // the measures of a page, used in nearly every line

QColor light(ColorRole role) {
  return color(Paint::of(role), Theme::light);
}

class ReportFlow {
 public:
  ReportFlow(const Report& report, Pages& pages) : report_(report), pages_(pages) {}

  // False when the pages ran out.
  bool run() {
    if (!new_page()) return false;
    heading(QString::fromStdString(report_.title), 26, 34);
    words(QString::fromStdString(report_.subtitle), 13, ColorRole::text_2);
    y_ += 10;
    side();
    int number = 0;
    for (const ReportSection& section : report_.sections) {
      if (!painter_) return false;
      y_ += 18;
      need(120);  // a heading never stands alone at the foot_y
      const QString prefix = section.numbered ? QStringLiteral("%1  ").arg(++number) : QString();
      heading(prefix + QString::fromStdString(section.title), 17, 24);
      for (const ReportBlock& block : section.blocks) {
        if (!painter_) return false;
        const auto* figure = std::get_if<ReportFigure>(&block);
        if (!figure || !figure->half) end_pair();
        std::visit([this](const auto& b) { put(b); }, block);
      }
      end_pair();
    }
    return painter_ != nullptr;
  }

 private:
  // What stands at the side on screen: two columns where the tables fit beside the facts, else one after the other;
  // then the caveats.
  void side() {
    double tables = 0;
    for (const ReportTable& table : report_.side_tables)
      tables += 40 + table_row * static_cast<double>(table.rows.size() + 1);
    const bool beside = tables > 0 && y_ + tables < bottom;
    const double top = y_;
    if (beside) width_ = half_width;
    facts();
    const double left_end = y_;
    if (beside) {
      x_ = margin + column - half_width;
      y_ = top;
    }
    for (const ReportTable& table : report_.side_tables) put(table);
    if (beside) y_ = std::max(y_, left_end);
    x_ = margin;
    width_ = column;
    for (const std::string& caveat : report_.caveats)
      words(QStringLiteral("• ") + QString::fromStdString(caveat), 12, ColorRole::text_2);
  }
  bool new_page() {
    painter_ = pages_.next();
    if (!painter_) return false;
    ++page_;
    painter_->setRenderHint(QPainter::Antialiasing);
    painter_->setFont(ui_font(10));
    painter_->setPen(light(ColorRole::text_3));
    painter_->drawText(QRectF(margin, foot_y, column, 16), Qt::AlignLeft, QString::fromStdString(report_.title));
    painter_->drawText(QRectF(margin, foot_y, column, 16), Qt::AlignRight, QString::number(page_));
    y_ = margin * 0.75;
    return true;
  }
  void need(double height) {
    if (painter_ && y_ + height > bottom && y_ > margin) new_page();
  }
  void heading(const QString& text, double size, double height) {
    if (!painter_) return;
    painter_->setFont(ui_font(size, 600));
    painter_->setPen(light(ColorRole::text_1));
    painter_->drawText(QPointF(margin, y_ + height * 0.75), text);
    y_ += height + 6;
  }
  void words(const QString& text, double size, ColorRole role) { rich(text.toHtmlEscaped(), size, role); }
  void rich(const QString& html, double size, ColorRole role) {
    if (!painter_ || html.isEmpty()) return;
    QTextDocument document;
    document.setDocumentMargin(0);
    document.setDefaultFont(ui_font(size));
    document.setHtml(
        QStringLiteral("<div style=\"color:%1; line-height:150%\">%2</div>").arg(light(role).name(), html));
    document.setTextWidth(width_);
    const double height = document.size().height();
    need(height);
    if (!painter_) return;
    painter_->save();
    painter_->translate(x_, y_);
    document.drawContents(painter_);
    painter_->restore();
    y_ += height + 6;
  }
  void facts() {
    for (const auto& [name, value] : report_.measured_on) {
      need(line);
      if (!painter_) return;
      painter_->setFont(ui_font(12));
      painter_->setPen(light(ColorRole::text_2));
      painter_->drawText(QPointF(x_, y_ + 14), QString::fromStdString(name));
      painter_->setFont(mono_font(11.5));
      painter_->setPen(light(ColorRole::text_1));
      const double from = width_ < column ? 96 : 130;
      const QString text = QString::fromStdString(value);
      const double tall = wrapped_height(text, painter_->font(), width_ - from);
      painter_->drawText(QRectF(x_ + from, y_ + 2, width_ - from, tall + 4), text, wrapping());
      y_ += std::max(line - 2, tall + 4);
    }
    y_ += 8;
  }

  void put(const ReportParagraph& paragraph) {
    QString html;
    for (const ReportRun& run : paragraph.runs) {
      const QString text = QString::fromStdString(run.text).toHtmlEscaped();
      if (run.style == ReportRun::Style::strong)
        html += QStringLiteral("<b>%1</b>").arg(text);
      else if (run.style == ReportRun::Style::figure_link)
        html += figure_name(run.text).toHtmlEscaped();
      else
        html += text;
    }
    rich(html, 14, ColorRole::text_1);
  }
  [[nodiscard]] QString figure_name(const std::string& key) const {
    for (const ReportSection& section : report_.sections)
      for (const ReportBlock& block : section.blocks)
        if (const auto* figure = std::get_if<ReportFigure>(&block); figure && figure->key == key)
          return QStringLiteral("figure %1").arg(figure->number);
    return QString::fromStdString(key);
  }

  void put(const ReportFigure& block) {
    const Figure& figure = block.figure;
    const double scale =
        figure.width > 0
            ? std::min({1.0, (block.half ? half_width : column) / figure.width, (bottom - margin - 60) / figure.height})
            : 1;
    // The second of a pair has its place beside the first.
    if (!block.half || pair_page_ != page_ || pair_full_) need(figure.height * scale + 50);
    if (!painter_) return;
    if (block.half) begin_half();
    painter_->save();
    painter_->translate(x_, y_);
    painter_->scale(scale, scale);
    paint_figure(*painter_, figure, Theme::light);
    painter_->restore();
    y_ += figure.height * scale + 4;
    rich(QStringLiteral("<b>Figure %1.</b> %2")
             .arg(block.number)
             .arg(QString::fromStdString(figure.caption).toHtmlEscaped()),
         12, ColorRole::text_2);
    y_ += 6;
    if (block.half) pair_end_ = std::max(pair_end_, y_);
  }
  // Two half-wide figures in a row stand side by side, as on screen.
  void begin_half() {
    const bool second = pair_page_ == page_ && !pair_full_;
    if (second) {
      y_ = pair_top_;
      x_ = margin + column - half_width;
    } else {
      end_pair();
      pair_top_ = y_;
      pair_page_ = page_;
    }
    pair_full_ = second;
    width_ = half_width;
  }
  void end_pair() {
    if (pair_page_ == page_) y_ = std::max(y_, pair_end_);
    pair_page_ = 0;
    pair_end_ = 0;
    pair_full_ = false;
    x_ = margin;
    width_ = column;
  }

  void put(const ReportTable& table) {
    if (table.columns.empty()) return;
    const std::size_t columns = table.columns.size();
    std::vector<double> widths(columns, 30);
    const QFontMetricsF head(ui_font(11, 600));
    std::vector<QFontMetricsF> fonts;
    for (std::size_t c = 0; c < columns; ++c) fonts.emplace_back(cell_font(table, c));
    for (std::size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], head.horizontalAdvance(QString::fromStdString(table.columns[c].name)) + 14);
      for (const auto& row : table.rows) {
        if (c >= row.size()) continue;
        widths[c] = std::max(widths[c], fonts[c].horizontalAdvance(QString::fromStdString(row[c])) + 14);
      }
    }
    const double total = fit(widths, width_);
    need(3 * table_row + 26);
    if (!table.title.empty()) {
      y_ += 4;
      rich(QStringLiteral("<b>%1</b>").arg(QString::fromStdString(table.title).toHtmlEscaped()), 12, ColorRole::text_1);
    }
    table_head(table, widths);
    for (const auto& row : table.rows) {
      if (!painter_) return;
      const double height = row_tall(table, row, widths);
      if (y_ + height > bottom) {
        if (!new_page()) return;
        table_head(table, widths);
      }
      double x = x_;
      for (std::size_t c = 0; c < columns; x += widths[c++]) {
        if (c >= row.size()) continue;
        painter_->setFont(cell_font(table, c));
        painter_->setPen(light(ColorRole::text_1));
        cell(QString::fromStdString(row[c]), x, widths[c], height, table.columns[c].number);
      }
      y_ += height;
      painter_->fillRect(QRectF(x_, y_ - 1, std::min(width_, std::max(total, 200.0)), 0.6), light(ColorRole::line));
    }
    if (!table.note.empty()) words(QString::fromStdString(table.note), 11, ColorRole::text_3);
    y_ += 10;
  }
  void table_head(const ReportTable& table, const std::vector<double>& widths) {
    if (!painter_) return;
    double x = x_;
    for (std::size_t c = 0; c < widths.size(); x += widths[c++]) {
      painter_->setFont(ui_font(11, 600));
      painter_->setPen(light(ColorRole::text_2));
      cell(QString::fromStdString(table.columns[c].name), x, widths[c], table_row, table.columns[c].number);
    }
    y_ += table_row;
    painter_->fillRect(QRectF(x_, y_ - 1, x - x_, 1), light(ColorRole::control_border));
  }
  void cell(const QString& text, double x, double width, double height, bool number) {
    QTextOption option = wrapping();
    if (number) {
      option.setWrapMode(QTextOption::NoWrap);
      option.setAlignment(Qt::AlignRight | Qt::AlignTop);
    }
    painter_->drawText(QRectF(x, y_ + 3, width - 10, height - 2), text, option);
  }
  // Commands are code, as on screen.
  static QFont cell_font(const ReportTable& table, std::size_t c) {
    if (table.columns[c].name == "Command") return mono_font(10);
    return table.columns[c].number ? mono_font(11.5) : ui_font(12);
  }
  // Lines break between words; only a word that is longer than a line, a path for example, breaks inside.
  static QTextOption wrapping() {
    QTextOption option(Qt::AlignLeft | Qt::AlignTop);
    option.setWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    return option;
  }
  static double wrapped_height(const QString& text, const QFont& font, double width) {
    QTextLayout layout(text, font);
    layout.setTextOption(wrapping());
    layout.beginLayout();
    double height = 0;
    for (QTextLine line = layout.createLine(); line.isValid(); line = layout.createLine()) {
      line.setLineWidth(width);
      height += line.height();
    }
    layout.endLayout();
    return height;
  }
  // Height of a row whose text wraps.
  static double row_tall(const ReportTable& table, const std::vector<std::string>& row,
                         const std::vector<double>& widths) {
    double height = table_row;
    for (std::size_t c = 0; c < std::min(row.size(), widths.size()); ++c) {
      if (table.columns[c].number) continue;
      height =
          std::max(height, wrapped_height(QString::fromStdString(row[c]), cell_font(table, c), widths[c] - 10) + 6);
    }
    return std::min(height, bottom - margin - 2 * table_row);
  }
  // Makes columns fit the page: wide ones give way, narrow ones keep their width. Returns the table's width.
  static double fit(std::vector<double>& widths, double room) {
    double limit = room;
    const auto sum = [&] {
      double total = 0;
      for (const double w : widths) total += std::min(w, limit);
      return total;
    };
    while (sum() > room && limit > 40) limit -= 4;
    for (double& w : widths) w = std::min(w, limit);
    return sum();
  }

  const Report& report_;
  Pages& pages_;
  QPainter* painter_ = nullptr;
  double x_ = margin, y_ = 0, width_ = column;  // where the next thing goes, and how wide it may be
  int page_ = 0;
  // Figures side by side: where the first began, the page (0 = no pair), how far both reach, and whether both are
  // there.
  double pair_top_ = 0, pair_end_ = 0;
  int pair_page_ = 0;
  bool pair_full_ = false;
};

}  // namespace

Expected<void> report_to_pdf(const Report& report, const QString& path) {
  PdfPages pages(path);
  pages.set_title(QString::fromStdString(report.title));
  if (ReportFlow(report, pages).run() && pages.end() && QFileInfo(path).size() > 0) return {};
  return fail(ErrorKind::input, "cannot write the PDF file", path.toStdString(),
              "Choose a folder that you may write to, with space left.");
}

Expected<void> save_report(const Report& report, const QString& path) {
  if (path.endsWith(QLatin1String(".pdf"), Qt::CaseInsensitive)) return report_to_pdf(report, path);
  const QByteArray html = QByteArray::fromStdString(report_to_html(report));
  QSaveFile file(path);
  if (file.open(QIODevice::WriteOnly) && file.write(html) == html.size() && file.commit()) return {};
  return fail(ErrorKind::input, "cannot write the report: " + file.errorString().toStdString(), path.toStdString(),
              "Choose a folder that you may write to, with space left.");
}

QList<QImage> report_pages(const Report& report, int width, int most) {
  ImagePages pages(width, most);
  (void)ReportFlow(report, pages).run();  // stops early when there are more pages than asked for
  return {pages.images.begin(), pages.images.end()};
}

}  // namespace moescope
