// Progress and cancel: how long work reports back and is stopped. Work calls report() and cancelled() from its own
// thread; the owner listens and cancels from any other. Both are cheap enough for an inner loop over layers.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace moescope {

// A stage of work, for a status bar: "Capture: layer 3 of 6, sequence 12 of 49".
struct ProgressReport {
  std::string stage;
  double fraction = 0.0;  // 0..1 of the whole work; negative = not known
};

// A shared flag. Copies refer to the same flag. A cancel is seen by the work within 200 ms (a rule of the design).
class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { flag_->store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

// What a long function takes as its last argument: where to report, and when to stop.
struct WorkContext {
  std::function<void(const ProgressReport&)> on_progress;  // may be empty; called from the working thread
  CancelToken cancel;

  void report(std::string stage, double fraction) const {
    if (on_progress) on_progress(ProgressReport{std::move(stage), fraction});
  }
  [[nodiscard]] bool cancelled() const { return cancel.cancelled(); }
};

}  // namespace moescope
