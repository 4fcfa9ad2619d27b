// PromptPanel: a text for the model, the format it is put into (shown as it will be run), Run, and Generate with what
// it needs to know. Main thread only.
#pragma once

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSpinBox>
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
  void generate();
  [[nodiscard]] QHBoxLayout* make_generate_row();
  ViewContext& context_;
  QPlainTextEdit *edit_, *preview_;
  ChoiceBox* format_;
  QLabel* about_;
  QPushButton *run_, *generate_;
  QSpinBox *tokens_, *seed_;
  QDoubleSpinBox *temperature_, *top_p_;
  QCheckBox* stop_;
};

}  // namespace moescope
