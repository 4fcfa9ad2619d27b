// PromptPanel: a text for the model, the format it is put into (shown as it will be run), and Run. Main thread only.
#pragma once

#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QWidget>

#include "views/common/controls.h"
#include "views/common/view.h"

namespace moescope {

class PromptPanel : public QWidget {
 public:
  PromptPanel(ViewContext& context, QWidget* parent);
  void open();
  // Takes a text as if it were typed.
  void set_text(const QString& text) { edit_->setPlainText(text); }

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  void refresh();
  void run();
  ViewContext& context_;
  QPlainTextEdit *edit_, *preview_;
  ChoiceBox* format_;
  QLabel* about_;
  QPushButton* run_;
};

}  // namespace moescope
