// TokenFlow: the running text of a trace, one coloured box per token. Paints only the lines on screen and lays out in
// slices between events, so a million tokens scroll as ten do. Hover shows the token's card, a click selects, a drag
// brushes tokens into the filter. Main thread only.
#pragma once

#include <QAbstractScrollArea>
#include <QPointer>
#include <QTimer>
#include <functional>
#include <set>

#include "views/common/view.h"
#include "views/tokens/token_colors.h"
#include "views/tokens/token_lines.h"

namespace moescope {

class TokenCard;

class TokenFlow : public QAbstractScrollArea {
 public:
  TokenFlow(ViewContext& context, QWidget* parent);
  ~TokenFlow() override;

  void set_trace(std::shared_ptr<const Trace> trace, const AppliedFilter& filter);
  void set_coloring(const TokenColoring& coloring);
  void set_selection(const Selection& selection);
  // Tokens to frame as found.
  void set_hits(std::set<std::uint64_t> hits);
  void set_wrap(bool wrap);
  void scroll_to(std::uint64_t token);
  // Called when other tokens come into sight: the first and how many.
  void set_on_scroll(std::function<void(std::uint64_t, std::uint64_t)> on_scroll) { on_scroll_ = std::move(on_scroll); }
  [[nodiscard]] bool laid_out() const { return lines_.finished(); }
  [[nodiscard]] std::uint64_t tokens_shown() const { return lines_.tokens_shown(); }
  // The token at a point of the viewport.
  [[nodiscard]] std::optional<std::uint64_t> token_at(QPointF at) const;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void scrollContentsBy(int dx, int dy) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void leaveEvent(QEvent* event) override;
  bool viewportEvent(QEvent* event) override;

 private:
  void relayout();
  void lay_out_more();
  void update_scroll();
  [[nodiscard]] double gutter() const;
  void show_card(std::optional<std::uint64_t> token, QPoint global_at);
  void move_selection(std::int64_t by);

  ViewContext& context_;
  std::shared_ptr<const Trace> trace_;
  AppliedFilter filter_;
  TokenColoring coloring_;
  Selection selection_;
  std::set<std::uint64_t> hits_;
  TokenLines lines_;
  QTimer timer_;
  QPointer<TokenCard> card_;
  std::function<void(std::uint64_t, std::uint64_t)> on_scroll_;
  std::optional<std::uint64_t> hovered_, brush_from_, brush_to_, wanted_;
  QPointF pressed_;
  bool wrap_ = true;
  double cell_ = 8.4;
};

}  // namespace moescope
