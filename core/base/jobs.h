// Jobs: long work off the main thread, with progress in stages and cancel. start() and the other functions are called
// on the main thread; a job's `work` runs on a pool thread and its `finished` on the main thread, through the
// MainQueue. Jobs of the serial lane run one after another (the engine takes one run at a time); the others share
// job_threads().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/main_queue.h"
#include "core/base/progress.h"

namespace moescope {

enum class JobState : std::uint8_t { waiting, running, done, failed, cancelled };

struct JobStatus {
  std::int64_t id = 0;
  std::string title, stage;
  double fraction = 0;  // 0..1; negative = not known
  JobState state = JobState::waiting;
  double seconds = 0, seconds_left = -1;  // since it began to run; -1 = not known
  std::optional<Error> error;             // when failed
};

enum class JobLane : std::uint8_t { pool, serial };

struct JobSpec {
  std::string title;
  // A newer job with the same slot makes this one stale: it is cancelled and `finished` never comes. Empty = no slot.
  std::string slot;
  JobLane lane = JobLane::pool;
  std::function<Expected<void>(const WorkContext&)> work;
  // Told how it ended, on the main thread; a cancelled job ends with an Error of kind cancelled. May be empty.
  std::function<void(const Expected<void>&)> finished;
};

class MOESCOPE_API JobSystem {
 public:
  // `changed` is told on the main thread that list() differs, at most every 50 ms for progress. `threads` 0 =
  // job_threads(). The queue must outlive the system.
  JobSystem(MainQueue& queue, std::function<void()> changed, int threads = 0);
  // Cancels everything, waits for running work to return, and drops what had not been delivered.
  ~JobSystem();
  JobSystem(const JobSystem&) = delete;
  JobSystem& operator=(const JobSystem&) = delete;

  std::int64_t start(JobSpec spec);
  // False when there is no such job or it has ended.
  bool cancel(std::int64_t id);
  void cancel_all();
  // Makes the job that holds this slot stale, if there is one.
  void retire_slot(const std::string& slot);
  // Waiting and running jobs and the last ended ones, oldest first. Stale jobs are not listed.
  [[nodiscard]] std::vector<JobStatus> list() const;
  [[nodiscard]] std::optional<JobStatus> status(std::int64_t id) const;
  // True when nothing waits or runs and every `finished` was called.
  [[nodiscard]] bool idle() const;
  // Handles the queue until idle().
  void wait_until_idle();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace moescope
