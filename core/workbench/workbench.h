// Workbench: the application's state and the commands on it; the top floor of core, used by both programs. Lives on the
// main thread. Long work runs in jobs on other threads and comes back through post_to_main. Views never change state
// themselves: they run commands.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/base/commands.h"
#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/jobs.h"
#include "core/engine/engine.h"
#include "core/model/checkpoint.h"
#include "core/report/report.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

enum class SourceKind : std::uint8_t { checkpoint, trace };

// A file or folder that the session knows. Missing files stay listed, with the error and "locate".
struct Source {
  std::int64_t id = 0;  // row id in the session
  SourceKind kind = SourceKind::trace;
  std::filesystem::path path;
  std::string name;
  std::uint64_t bytes = 0;
  std::string hash;
  std::optional<Error> error;  // why it is not loaded
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const Trace> trace;
};

// A note on something: an expert, a token, a trace.
struct Annotation {
  std::int64_t id = 0;
  std::int64_t source = 0;  // 0 = the whole session
  std::string anchor;       // "L3·E04", "token 106", or empty
  std::string text;
};

// A prompt that was run.
struct Prompt {
  std::string text, format;
};

// What changed, so that views refresh only what they must.
enum class Change : std::uint32_t {
  sources = 1U << 0U,
  active_trace = 1U << 1U,
  filter = 1U << 2U,
  selection = 1U << 3U,
  results = 1U << 4U,
  annotations = 1U << 5U,
  jobs = 1U << 6U,
  session = 1U << 7U,
  undo = 1U << 8U,
  options = 1U << 9U,
  error = 1U << 10U,
};
using Changes = std::uint32_t;

struct WorkbenchOptions {
  std::filesystem::path settings_folder{};  // recent files, window layout; empty = none are kept
  std::shared_ptr<Engine> engine{};         // may be null: then "run" is unavailable, with the reason
  // Runs a function on the main thread soon. The desktop gives Qt's event loop, the CLI a queue it drains.
  std::function<void(std::function<void()>)> post_to_main{};
  // Writers of reports besides HTML, by suffix (".pdf"); called on the main thread.
  std::map<std::string, std::function<Expected<void>(const Report&, const std::filesystem::path&)>> report_writers{};
};

class MOESCOPE_API Workbench {
 public:
  explicit Workbench(WorkbenchOptions options);
  ~Workbench();
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  [[nodiscard]] CommandRegistry& commands();
  [[nodiscard]] const CommandRegistry& commands() const;

  // State, read by views.
  [[nodiscard]] const std::vector<Source>& sources() const;
  [[nodiscard]] const Source* source(std::int64_t id) const;
  [[nodiscard]] const Source* active_trace() const;       // null when none
  [[nodiscard]] const Source* active_checkpoint() const;  // the one prompts run on; null when none
  [[nodiscard]] const AppliedFilter& filter() const;      // on the active trace
  [[nodiscard]] const Selection& selection() const;
  [[nodiscard]] const std::vector<Annotation>& annotations() const;
  [[nodiscard]] const std::vector<Prompt>& prompts() const;  // of this session, oldest first
  [[nodiscard]] std::vector<JobStatus> jobs() const;
  [[nodiscard]] std::string next_undo() const;  // "select L3·E04"; empty = nothing to undo
  [[nodiscard]] std::string next_redo() const;
  [[nodiscard]] std::filesystem::path session_path() const;  // empty = in memory only
  // True while the session lives in the settings folder (or in memory) and was not given a name by session.save_as.
  [[nodiscard]] bool session_unsaved() const;
  // True when no action was ever recorded in it, so that nothing is lost with it.
  [[nodiscard]] bool session_untouched() const;
  // Unsaved sessions that an earlier run left behind (after a crash, or closed without saving), newest first.
  [[nodiscard]] std::vector<std::filesystem::path> recoverable_sessions() const;
  [[nodiscard]] std::vector<std::filesystem::path> recent_files() const;
  [[nodiscard]] const std::optional<Error>& last_error() const;
  // Options of a view or a figure, edited by commands, kept in the session ("experts.sort" -> "load").
  [[nodiscard]] nlohmann::json option(const std::string& name, nlohmann::json fallback) const;

  // A Result for the active trace and filter: from memory, from the session's cache, or computed in a job. `ready` is
  // called on the main thread, at once when it is cached; a newer request with the same `slot` makes an older one stale
  // (its callback never comes). Over a large trace it may be called before with Results of a part of the tokens or
  // without intervals, which say so in their first caveat.
  using ResultReady = std::function<void(const Expected<ResultPtr>&)>;
  void request_result(const std::string& slot, const std::string& analysis, const nlohmann::json& params,
                      ResultReady ready);
  // Analyses of checkpoints (core/analysis/weights) work on the active checkpoint; no filter applies to them.
  // A Result that is there already, from memory or the session's cache; null where it must be computed.
  [[nodiscard]] ResultPtr known_result(const std::string& analysis, const nlohmann::json& params);
  // The same as request_result, on the calling thread, for the CLI and tests.
  [[nodiscard]] Expected<ResultPtr> compute_result(const std::string& analysis, const nlohmann::json& params);

  // Told after every change, on the main thread. Returns a handle; the callback lives until it is dropped.
  [[nodiscard]] std::shared_ptr<void> listen(std::function<void(Changes)> callback);
  // Waits until no job is waiting or running, handling posted work meanwhile (CLI, tests, screenshots).
  void wait_for_jobs();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moescope
