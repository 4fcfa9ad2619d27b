// Command registry: one set of commands feeds menus, the palette, shortcuts, the CLI and scripts. Commands run on the
// application's main thread; long ones start jobs. The registry is filled at start and read afterwards.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

struct CommandSpec {
  std::string id;        // "source.open"
  std::string title;     // "Open…", as menus and the palette show it
  std::string help;      // one sentence: tooltip, palette, --help
  std::string menu;      // "File", "Edit/Layout"; empty = palette only
  std::string shortcut;  // "Ctrl+O"; empty = none
  std::string icon;      // name in resources/icons; empty = none
  // Arguments as JSON object: name -> one-line help ("path: file or folder to open").
  std::vector<std::pair<std::string, std::string>> arguments;
  // Why it cannot run now, shown greyed; empty = it can.
  std::function<std::string()> unavailable;
  // Runs it. Returns what a script would want to know (ids of what was made), or the one Error to show.
  std::function<Expected<nlohmann::json>(const nlohmann::json& arguments)> run;
  // True when its slow part can run in a job: with the further argument "background": true it answers {"job": id} at
  // once, changes the state when the job is done, and an error comes to the workbench instead of the caller.
  bool background = false;
};

class MOESCOPE_API CommandRegistry {
 public:
  // Ids and shortcuts are unique; a second one with the same id or shortcut is an internal error.
  [[nodiscard]] Expected<void> add(CommandSpec spec);
  [[nodiscard]] const CommandSpec* find(const std::string& id) const;
  [[nodiscard]] std::span<const CommandSpec> all() const { return specs_; }
  // Checks existence, arguments and availability, runs, and turns any exception into an internal Error.
  [[nodiscard]] Expected<nlohmann::json> run(const std::string& id, const nlohmann::json& arguments) const;
  // Commands whose title, id or help match the words of `text`, best first (palette).
  [[nodiscard]] std::vector<const CommandSpec*> search(const std::string& text) const;

 private:
  std::vector<CommandSpec> specs_;
};

}  // namespace moescope
