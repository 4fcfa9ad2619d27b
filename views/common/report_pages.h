// The pages that a report is painted on: of a PDF file, or pictures. Main thread, or any thread once fonts are loaded.
#pragma once

#include <QImage>
#include <QPainter>
#include <QPdfWriter>
#include <memory>
#include <vector>

namespace moescope::report_page {

// A page in the units of figures: pixels of a text column of 720. A4 at these margins.
inline constexpr double column = 720, half_width = 354, margin = 84, page_width = column + 2 * margin;
inline constexpr double page_height = page_width * 297 / 210, foot_y = page_height - 52, bottom = foot_y - 20;
inline constexpr double line = 21, table_row = 21;
inline constexpr int pdf_resolution = 600;

// Hands out painters, one page at a time, already scaled to the units above.
class Pages {
 public:
  virtual ~Pages() = default;
  virtual QPainter* next() = 0;  // null when no more pages are wanted
};

class PdfPages : public Pages {
 public:
  explicit PdfPages(const QString& path) : writer_(path) {
    writer_.setResolution(pdf_resolution);
    writer_.setPageLayout(QPageLayout(QPageSize(QPageSize::A4), QPageLayout::Portrait, QMarginsF()));
    writer_.setCreator(QStringLiteral("MoEScope"));
  }
  void set_title(const QString& title) { writer_.setTitle(title); }
  QPainter* next() override {
    if (!painter_) {
      painter_ = std::make_unique<QPainter>();
      if (!painter_->begin(&writer_)) return nullptr;
    } else if (!writer_.newPage()) {
      return nullptr;
    }
    painter_->resetTransform();
    const double scale = writer_.width() / page_width;
    painter_->scale(scale, scale);
    return painter_.get();
  }
  [[nodiscard]] bool end() { return painter_ && painter_->end(); }

 private:
  QPdfWriter writer_;
  std::unique_ptr<QPainter> painter_;
};

class ImagePages : public Pages {
 public:
  ImagePages(int width, int most) : width_(width), most_(most) {}
  QPainter* next() override {
    painter_.reset();
    if (static_cast<int>(images.size()) >= most_) return nullptr;
    QImage image(width_, static_cast<int>(width_ * page_height / page_width), QImage::Format_RGB32);
    image.fill(Qt::white);
    images.push_back(std::move(image));
    painter_ = std::make_unique<QPainter>(&images.back());
    painter_->scale(width_ / page_width, width_ / page_width);
    return painter_.get();
  }
  std::vector<QImage> images;

 private:
  int width_, most_;
  std::unique_ptr<QPainter> painter_;
};

}  // namespace moescope::report_page
