#include "core/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/threads.h"

namespace moescope {
namespace {

Error as_error(const std::exception_ptr& exception, const std::string& stage) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::device, "there is not enough memory", stage, "Choose fewer tokens or rows"};
  } catch (const std::exception& caught) {
    return Error{ErrorKind::internal, caught.what(), stage, "Please report this defect"};
  } catch (...) {
    return Error{ErrorKind::internal, "an unknown failure", stage, "Please report this defect"};
  }
}

}  // namespace

std::size_t parallel_workers(std::size_t count) {
  return std::clamp<std::size_t>(count, 1, static_cast<std::size_t>(std::max(1, job_threads())));
}

Expected<void> parallel_for(std::size_t count, const WorkContext& work, const ParallelStage& stage,
                            const std::function<void(std::size_t index, std::size_t worker)>& body) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
  std::atomic<bool> stop{false};
  std::mutex failure_lock;
  std::exception_ptr failure;

  const auto pieces = [&](std::size_t worker) {
    while (!stop.load(std::memory_order_relaxed)) {
      if (work.cancelled()) return stop.store(true, std::memory_order_relaxed);
      const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      try {
        body(index, worker);
        const std::size_t finished = done.fetch_add(1, std::memory_order_relaxed) + 1;
        if (worker == 0) {
          const double fraction = static_cast<double>(finished) / static_cast<double>(count);
          work.report(stage.name, stage.from + (stage.to - stage.from) * fraction);
        }
      } catch (...) {
        const std::lock_guard<std::mutex> hold(failure_lock);
        if (!failure) failure = std::current_exception();
        stop.store(true, std::memory_order_relaxed);
      }
    }
  };

  {
    std::vector<std::jthread> helpers;
    const std::size_t workers = parallel_workers(count);
    helpers.reserve(workers);
    try {
      for (std::size_t worker = 1; worker < workers; ++worker) helpers.emplace_back(pieces, worker);
    } catch (const std::system_error&) {
      // No more threads to be had: those that started, and this one, do the work.
    }
    pieces(0);
  }  // joins
  if (failure) return fail(as_error(failure, stage.name));
  if (work.cancelled()) return fail(ErrorKind::cancelled, "stopped", stage.name);
  work.report(stage.name, stage.to);
  return {};
}

}  // namespace moescope
