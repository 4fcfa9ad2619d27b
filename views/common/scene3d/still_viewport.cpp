#include "views/common/scene3d/still_viewport.h"

#include <QPainter>
#include <cmath>

#include "views/common/scene3d/offscreen_scene.h"

namespace moescope {

void StillViewport::set_scene(Scene scene, Theme theme) {
  renderer_.set_scene(std::move(scene), theme);
  image_ = QImage();
  update();
}

void StillViewport::set_route(const TokenRoute* route, bool second_rank) {
  renderer_.set_route(route, second_rank);
  image_ = QImage();
  update();
}

void StillViewport::paintEvent(QPaintEvent*) {
  const QSize wanted = size();
  if (image_.size() != wanted && wanted.width() > 0 && wanted.height() > 0) {
    const auto picture = render_offscreen(renderer_, overlay, wanted.width(), wanted.height(), true, controls_);
    message_ = picture ? QString() : QString::fromStdString(picture.error().text());
    image_ = picture ? *picture : QImage();
  }
  QPainter painter(this);
  if (image_.isNull()) {
    painter.drawText(rect(), Qt::AlignCenter | Qt::TextWordWrap, message_);
  } else {
    painter.drawImage(0, 0, image_);
  }
}

}  // namespace moescope
