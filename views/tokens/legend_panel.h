// LegendPanel: what the colours of the text mean, with counts, and the search in the text. Main thread only.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QWidget>
#include <functional>
#include <memory>
#include <set>

#include "core/base/progress.h"
#include "views/common/view.h"
#include "views/tokens/token_colors.h"
#include "views/tokens/token_search.h"

namespace moescope {

struct LegendEntry {
  Paint paint;
  QString name, count, share;
  bool chip = false;             // the selected one
  std::function<void()> choose;  // what a click does; empty = nothing
};

class LegendList;

class LegendPanel : public QWidget {
 public:
  LegendPanel(ViewContext& context, QWidget* parent);
  void set_legend(const QString& title, const QString& remark, std::vector<LegendEntry> entries);
  // A colour bar from `low` to `high` instead of entries.
  void set_scale(const QString& title, const QString& low, const QString& high);
  void set_on_hits(std::function<void(std::set<std::uint64_t>)> on_hits) { on_hits_ = std::move(on_hits); }
  // The layer whose expert is listed beside each hit.
  void set_row(std::uint32_t row) { row_ = row; }
  void search_again();
  void focus_search();

 private:
  void search();
  void show_hits(const std::vector<TokenHit>& hits);
  ViewContext& context_;
  QLabel *title_, *remark_, *found_;
  LegendList* legend_;
  QLineEdit* search_;
  QListWidget* hits_;
  std::function<void(std::set<std::uint64_t>)> on_hits_;
  CancelToken cancel_;
  std::shared_ptr<int> generation_ = std::make_shared<int>(0);
  std::uint32_t row_ = 0;
};

}  // namespace moescope
