// What the tests of views share: a planted trace in a file, a workbench on it, and a way to let the event loop run
// until everything is up to date.
#pragma once

#include <QTemporaryDir>
#include <memory>
#include <string>

#include "app/desktop/view_table.h"
#include "core/workbench/workbench.h"
#include "views/shell/main_window.h"

namespace moescope {

// 4 layers × 8 experts, top-2, two domains. At layer 1, expert 3 takes every "code" token first.
[[nodiscard]] Trace planted_trace(std::size_t tokens);

// A window on the planted trace; nothing is kept in the user's settings.
class WindowFixture {
 public:
  explicit WindowFixture(std::size_t tokens = 240, bool open = true);
  ~WindowFixture();
  void settle();
  Expected<nlohmann::json> run(const std::string& id, const nlohmann::json& arguments = nlohmann::json::object());
  [[nodiscard]] QString file(const char* name) const;

  QTemporaryDir folder;
  std::unique_ptr<Workbench> bench;
  std::unique_ptr<MainWindow> window;
};

}  // namespace moescope
