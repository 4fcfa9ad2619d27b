// CommandRunner: runs a command the way menus do. Arguments that a person must give are asked for: files by a file
// dialog, the rest by a small form made from the command's argument list. Main thread only.
#pragma once

#include <QString>
#include <QWidget>
#include <functional>
#include <map>

#include "views/common/view.h"

namespace moescope {

class CommandRunner {
 public:
  CommandRunner(ViewContext& context, QWidget& window);
  // A command whose arguments have a place of their own (a panel, a dialog) opens it instead.
  void set_opener(const std::string& id, std::function<void()> open) { openers_[id] = std::move(open); }
  void invoke(const std::string& id);

 private:
  void open_files(const CommandSpec& spec);
  [[nodiscard]] bool ask(const CommandSpec& spec, nlohmann::json& arguments);
  ViewContext& context_;
  QWidget& window_;
  std::map<std::string, std::function<void()>> openers_;
};

}  // namespace moescope
