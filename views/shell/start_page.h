// StartPage: shown while nothing is open. The sample first, then checkpoint, trace and session, a place to drop files,
// recent files (missing ones greyed with a way out), the first five minutes, and what this computer has. Main thread.
#pragma once

#include <QScrollArea>
#include <QVBoxLayout>

#include "views/common/view.h"

namespace moescope {

class StartPage : public QScrollArea {
 public:
  StartPage(ViewContext& context, QWidget* parent);
  // Reads recent files again.
  void refresh();

 private:
  QWidget* sample_card();
  QWidget* open_card(const QString& icon_name, const QString& title, const QString& shortcut, const QString& text,
                     const QString& command);
  QWidget* side_column();
  void add_recovery();
  ViewContext& context_;
  QWidget* body_ = nullptr;
  QVBoxLayout* recent_ = nullptr;
};

}  // namespace moescope
