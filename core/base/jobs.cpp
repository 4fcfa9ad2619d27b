#include "core/base/jobs.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "core/base/threads.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds progress_interval{50};
constexpr std::size_t kept_ended_jobs = 50;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

struct Job {
  JobSpec spec;
  JobStatus status;
  CancelToken cancel;
  bool stale = false;
  bool delivered = false;  // `finished` was called, or never will be
  Clock::time_point begun, ended;

  [[nodiscard]] bool over() const { return status.state != JobState::waiting && status.state != JobState::running; }
};
using JobPtr = std::shared_ptr<Job>;

// Runs the work and turns whatever leaves it into an Error.
Expected<void> run_guarded(const JobSpec& spec, const WorkContext& context) {
  try {
    return spec.work(context);
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::device, "there is not enough memory for this", spec.title,
                "Close other traces, or narrow the filter");
  } catch (const std::exception& e) {
    return fail(ErrorKind::internal, e.what(), spec.title, "This is a defect of the program; please report it");
  }
}

}  // namespace

struct JobSystem::Shared : std::enable_shared_from_this<JobSystem::Shared> {
  Shared(MainQueue& main_queue, std::function<void()> on_changed) : queue(main_queue), changed(std::move(on_changed)) {}

  MainQueue& queue;
  std::function<void()> changed;
  mutable std::mutex mutex;
  std::array<std::condition_variable, 2> wake;  // one per lane
  std::array<std::deque<JobPtr>, 2> waiting;
  std::map<std::int64_t, JobPtr> jobs;  // by id: waiting, running and lately ended
  std::vector<std::thread> threads;
  std::int64_t last_id = 0;
  std::size_t undelivered = 0;
  bool stopping = false;
  bool notice_posted = false;
  Clock::time_point last_progress_notice;

  void work_loop(std::size_t lane);
  void progress(const JobPtr& job, const ProgressReport& report);
  void end(const JobPtr& job, Expected<void> outcome);
  void deliver(const JobPtr& job, const Expected<void>& outcome);
  void post_notice();
  // The following expect `mutex` to be held.
  void make_stale(const JobPtr& job);
  void forget_old();
  void mark_delivered(Job& job) {
    if (!std::exchange(job.delivered, true)) --undelivered;
  }
};

void JobSystem::Shared::work_loop(std::size_t lane) {
  for (;;) {
    JobPtr job;
    {
      std::unique_lock lock(mutex);
      wake[lane].wait(lock, [&] { return stopping || !waiting[lane].empty(); });
      if (stopping) return;
      job = std::move(waiting[lane].front());
      waiting[lane].pop_front();
      job->status.state = JobState::running;
      job->begun = Clock::now();
    }
    post_notice();
    const WorkContext context{[this, job](const ProgressReport& report) { progress(job, report); }, job->cancel};
    end(job, run_guarded(job->spec, context));
  }
}

void JobSystem::Shared::progress(const JobPtr& job, const ProgressReport& report) {
  {
    const std::scoped_lock lock(mutex);
    job->status.stage = report.stage;
    job->status.fraction = report.fraction;
    const auto now = Clock::now();
    if (now - last_progress_notice < progress_interval) return;
    last_progress_notice = now;
  }
  post_notice();
}

void JobSystem::Shared::end(const JobPtr& job, Expected<void> outcome) {
  bool report = false;
  {
    const std::scoped_lock lock(mutex);
    job->ended = Clock::now();
    JobStatus& status = job->status;
    if (outcome) {
      status.state = JobState::done;
      status.fraction = 1;
    } else if (outcome.error().kind == ErrorKind::cancelled) {
      status.state = JobState::cancelled;
    } else {
      status.state = JobState::failed;
      status.error = outcome.error();
    }
    job->spec.work = nullptr;  // lets go of traces and buffers
    if (job->stale) jobs.erase(status.id);
    report = !job->stale;
    if (!report) mark_delivered(*job);
  }
  if (report) {
    queue.post([weak = weak_from_this(), job, outcome = std::move(outcome)] {
      if (const auto self = weak.lock()) self->deliver(job, outcome);
    });
  }
  post_notice();
}

void JobSystem::Shared::deliver(const JobPtr& job, const Expected<void>& outcome) {
  std::function<void(const Expected<void>&)> finished;
  {
    const std::scoped_lock lock(mutex);
    if (stopping) return;
    if (!job->stale) finished = std::move(job->spec.finished);
    job->spec.finished = nullptr;
  }
  if (finished) finished(outcome);
  const std::scoped_lock lock(mutex);
  mark_delivered(*job);
  forget_old();
}

// Coalesced: one notice in the queue at a time.
void JobSystem::Shared::post_notice() {
  {
    const std::scoped_lock lock(mutex);
    if (notice_posted || stopping || !changed) return;
    notice_posted = true;
  }
  queue.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    {
      const std::scoped_lock lock(self->mutex);
      self->notice_posted = false;
      if (self->stopping) return;
    }
    self->changed();
  });
}

void JobSystem::Shared::make_stale(const JobPtr& job) {
  if (job->stale) return;
  job->stale = true;
  job->cancel.cancel();
  if (job->status.state == JobState::waiting) {
    auto& line = waiting[static_cast<std::size_t>(job->spec.lane)];
    line.erase(std::remove(line.begin(), line.end(), job), line.end());
    job->status.state = JobState::cancelled;
    mark_delivered(*job);
  }
  // One that runs leaves the list now but is still waited for; end() marks it delivered. One that ended but was not
  // delivered yet is dropped by deliver().
  jobs.erase(job->status.id);
}

void JobSystem::Shared::forget_old() {
  std::size_t ended = 0;
  for (const auto& [id, job] : jobs) ended += job->over() ? 1 : 0;
  for (auto it = jobs.begin(); ended > kept_ended_jobs && it != jobs.end();) {
    if (it->second->over() && it->second->delivered) {
      it = jobs.erase(it);
      --ended;
    } else {
      ++it;
    }
  }
}

JobSystem::JobSystem(MainQueue& queue, std::function<void()> changed, int threads)
    : shared_(std::make_shared<Shared>(queue, std::move(changed))) {
  const int pool = threads > 0 ? threads : job_threads();
  const auto spawn = [this](JobLane lane) {
    shared_->threads.emplace_back(
        [shared = shared_.get(), lane] { shared->work_loop(static_cast<std::size_t>(lane)); });
  };
  for (int i = 0; i < pool; ++i) spawn(JobLane::pool);
  spawn(JobLane::serial);
}

JobSystem::~JobSystem() {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stopping = true;
    for (const auto& [id, job] : shared_->jobs) job->cancel.cancel();
  }
  for (auto& condition : shared_->wake) condition.notify_all();
  for (std::thread& thread : shared_->threads) thread.join();
}

std::int64_t JobSystem::start(JobSpec spec) {
  auto job = std::make_shared<Job>();
  const auto lane = static_cast<std::size_t>(spec.lane);
  job->status.title = spec.title;
  job->spec = std::move(spec);
  std::int64_t id = 0;
  {
    const std::scoped_lock lock(shared_->mutex);
    if (const std::string& slot = job->spec.slot; !slot.empty()) {
      std::vector<JobPtr> older;
      for (const auto& [other_id, other] : shared_->jobs) {
        if (other->spec.slot == slot && !other->delivered) older.push_back(other);
      }
      for (const JobPtr& other : older) shared_->make_stale(other);
    }
    id = job->status.id = ++shared_->last_id;
    ++shared_->undelivered;
    shared_->jobs.emplace(id, job);
    shared_->waiting[lane].push_back(job);
  }
  shared_->wake[lane].notify_one();
  shared_->post_notice();
  return id;
}

bool JobSystem::cancel(std::int64_t id) {
  JobPtr unstarted;
  {
    const std::scoped_lock lock(shared_->mutex);
    const auto found = shared_->jobs.find(id);
    if (found == shared_->jobs.end() || found->second->over()) return false;
    const JobPtr& job = found->second;
    job->cancel.cancel();
    if (job->status.state == JobState::waiting) {
      auto& line = shared_->waiting[static_cast<std::size_t>(job->spec.lane)];
      line.erase(std::remove(line.begin(), line.end(), job), line.end());
      job->begun = Clock::now();
      unstarted = job;
    }
  }
  if (unstarted) shared_->end(unstarted, fail(ErrorKind::cancelled, "cancelled before it began"));
  return true;
}

void JobSystem::cancel_all() {
  for (const JobStatus& status : list()) cancel(status.id);
}

void JobSystem::retire_slot(const std::string& slot) {
  {
    const std::scoped_lock lock(shared_->mutex);
    std::vector<JobPtr> holders;
    for (const auto& [id, job] : shared_->jobs) {
      if (job->spec.slot == slot && !job->delivered) holders.push_back(job);
    }
    if (holders.empty()) return;
    for (const JobPtr& job : holders) shared_->make_stale(job);
  }
  shared_->post_notice();
}

std::vector<JobStatus> JobSystem::list() const {
  std::vector<JobStatus> all;
  const std::scoped_lock lock(shared_->mutex);
  const auto now = Clock::now();
  for (const auto& [id, job] : shared_->jobs) {
    JobStatus status = job->status;
    if (status.state != JobState::waiting) {
      status.seconds = seconds_between(job->begun, job->over() ? job->ended : now);
    }
    if (status.state == JobState::running && status.fraction > 0.02) {
      status.seconds_left = status.seconds * (1 - status.fraction) / status.fraction;
    }
    all.push_back(std::move(status));
  }
  return all;
}

std::optional<JobStatus> JobSystem::status(std::int64_t id) const {
  for (JobStatus& status : list()) {
    if (status.id == id) return std::move(status);
  }
  return std::nullopt;
}

bool JobSystem::idle() const {
  const std::scoped_lock lock(shared_->mutex);
  return shared_->undelivered == 0;
}

void JobSystem::wait_until_idle() {
  while (!idle()) shared_->queue.wait_and_drain(std::chrono::milliseconds(20));
  shared_->queue.drain();
}

}  // namespace moescope
