// LiveTrace: the trace of a generation while it is under way, in a file that is replaced whole a few times a second, so
// that another process can show it. Used by the engine; one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <vector>

#include "core/engine/engine.h"
#include "core/model/checkpoint.h"
#include "plugins/torch_engine/record_sink.h"
#include "plugins/torch_engine/run_plan.h"

namespace moescope::torch_engine {

class LiveTrace {
 public:
  // An empty path: nothing is ever written. `plan` is that of the prompts.
  LiveTrace(std::filesystem::path file, const RunPlan& plan, const Checkpoint& checkpoint);
  // Takes the file away.
  ~LiveTrace();
  LiveTrace(const LiveTrace&) = delete;
  LiveTrace& operator=(const LiveTrace&) = delete;

  // Writes the tokens so far, unless the last time was a moment ago. A file that cannot be written is not shown; the
  // run goes on, and its own trace will tell.
  void show(const RunRequest& extended, const std::vector<DecisionLog>& logs);

 private:
  [[nodiscard]] Expected<void> write(const RunRequest& extended, const std::vector<DecisionLog>& logs) const;

  std::filesystem::path file_;
  const RunPlan& plan_;
  const Checkpoint& checkpoint_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace moescope::torch_engine
