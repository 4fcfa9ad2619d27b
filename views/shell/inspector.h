// Inspector: what is known about the selection. An expert: load, lift with interval, top tokens, what comes before and
// after, domain profile. A token: its experts at every layer. Nothing selected: the trace itself. Main thread only.
#pragma once

#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QVBoxLayout>
#include <map>
#include <optional>

#include "core/figure/figure.h"
#include "views/common/view.h"

namespace moescope {

class FigureWidget;

class Inspector : public QScrollArea {
 public:
  Inspector(ViewContext& context, QWidget* parent);
  void refresh(Changes changes);

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  struct Section {
    QWidget* box = nullptr;
    QLabel *head = nullptr, *remark = nullptr;
    FigureWidget* figure = nullptr;
  };
  Section& section(const QString& title, const QString& remark = {});
  void set_fields(const std::vector<std::pair<QString, QString>>& fields);
  void rebuild();
  void show_trace(const Trace& trace);
  void show_checkpoint(const Checkpoint& checkpoint, const Selection& selection);
  void show_expert(const Trace& trace, ExpertRef expert);
  void show_token(const Trace& trace, std::uint64_t token);
  // Asks for a Result and draws it into a section once it is there.
  void fill(const std::string& slot, Section& section, const std::string& analysis, const nlohmann::json& params,
            double tall, std::function<Figure(const ResultPtr&, double, double)> draw);
  void fill_neighbours(const Trace& trace, ExpertRef expert);

  ViewContext& context_;
  QWidget* body_;
  QVBoxLayout* column_;
  QLabel *chip_, *name_;
  QWidget* fields_box_;
  QGridLayout* fields_;
  std::vector<Section> sections_;
  std::size_t used_ = 0;
  std::optional<Selection> shown_;
  bool stale_ = true;
};

}  // namespace moescope
