// MainQueue: functions that other threads want run on the main thread. post() may be called from any thread; drain()
// and wait_and_drain() only from the main one. `wake` tells the owner's event loop that there is something to drain.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/export.h"

namespace moescope {

class MOESCOPE_API MainQueue {
 public:
  // `wake` runs a function on the main thread soon; empty = the owner drains by itself.
  explicit MainQueue(std::function<void(std::function<void()>)> wake = {});
  ~MainQueue();
  MainQueue(const MainQueue&) = delete;
  MainQueue& operator=(const MainQueue&) = delete;

  void post(std::function<void()> work);
  // Runs what is queued, in order. Work posted meanwhile by that work runs too.
  void drain();
  // Sleeps until something is queued or the time is over, then drains.
  void wait_and_drain(std::chrono::milliseconds longest);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // outlives the queue in wake-ups that come late
  std::function<void(std::function<void()>)> wake_;
};

}  // namespace moescope
