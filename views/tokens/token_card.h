// TokenCard: what hovering a token shows: its experts at every layer on a grid, their weights, and how narrow each
// choice was. A child of the window, so that screenshots have it. Main thread only.
#pragma once

#include <QWidget>
#include <memory>

#include "core/trace/trace.h"

namespace moescope {

class TokenCard : public QWidget {
 public:
  explicit TokenCard(QWidget* window);
  // `row` is framed. The card goes beside `global_at`.
  void show_token(std::shared_ptr<const Trace> trace, std::uint64_t token, std::uint32_t row, QPoint global_at);
  // What it says, as text: for the clipboard and for screen readers.
  [[nodiscard]] QString text() const;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  struct Layout;
  [[nodiscard]] Layout plan() const;
  [[nodiscard]] QString place_text() const;
  std::shared_ptr<const Trace> trace_;
  std::uint64_t token_ = 0;
  std::uint32_t row_ = 0;
};

}  // namespace moescope
