// ErrorBar: shows one error at a time above the views: what happened, where, and what to do. Never modal; every error
// also goes to the log. Main thread only.
#pragma once

#include <QDateTime>
#include <QLabel>
#include <QWidget>
#include <vector>

#include "core/base/error.h"

namespace moescope {

struct LogEntry {
  QDateTime time;
  Error error;
};

class ErrorBar : public QWidget {
 public:
  explicit ErrorBar(QWidget* parent);
  void show_error(const Error& error);
  [[nodiscard]] const std::vector<LogEntry>& log() const { return log_; }
  // A window with everything that was shown so far.
  void show_log();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QLabel *what_, *where_, *advice_;
  std::vector<LogEntry> log_;
};

}  // namespace moescope
