// QueryBox: the filter's text with completion, a live count of matching tokens, and what is wrong with it. Counting
// runs on a pool thread; a newer text makes an older count stale. Main thread only.
#pragma once

#include <QCompleter>
#include <QLabel>
#include <QLineEdit>
#include <QStringListModel>
#include <QTimer>
#include <QToolButton>
#include <QWidget>
#include <cstdint>
#include <memory>
#include <utility>

#include "views/common/view.h"
#include "views/shell/filter_completion.h"

namespace moescope {

class QueryBox : public QWidget {
 public:
  QueryBox(ViewContext& context, QWidget* parent);
  ~QueryBox() override;
  // Shows the workbench's filter and trace.
  void refresh(Changes changes);
  void focus();
  [[nodiscard]] QLineEdit& edit() { return *edit_; }
  // What may come next at the cursor.
  [[nodiscard]] const FilterCompletion& completion() const { return completion_; }
  // What the box says about its text: the count, or the error.
  [[nodiscard]] QString verdict() const { return verdict_; }
  [[nodiscard]] bool has_error() const { return bad_; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  void edited();
  void count(bool apply = false);  // `apply`: makes it the filter when it is one
  void show_count(const Expected<AppliedFilter>& applied, std::size_t tokens);
  [[nodiscard]] QString problem_text(const Error& error);
  void complete();
  void insert(const QString& word);
  void apply();
  void highlight();

  ViewContext& context_;
  QLineEdit* edit_;
  QLabel *count_, *problem_;
  QToolButton* clear_;
  QCompleter* completer_;
  QStringListModel* words_;
  QTimer timer_;
  QString verdict_;
  std::vector<FilterTerm> terms_;
  FilterCompletion completion_;
  std::pair<int, int> wrong_;  // place and length of what is wrong in the text
  std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);
  bool bad_ = false;
};

}  // namespace moescope
