#include "core/base/main_queue.h"

#include <deque>
#include <utility>

namespace moescope {

struct MainQueue::Shared {
  std::mutex mutex;
  std::condition_variable filled;
  std::deque<std::function<void()>> queue;
  bool wake_sent = false;

  void drain() {
    for (;;) {
      std::function<void()> work;
      {
        const std::scoped_lock lock(mutex);
        wake_sent = false;
        if (queue.empty()) return;
        work = std::move(queue.front());
        queue.pop_front();
      }
      work();
    }
  }
};

MainQueue::MainQueue(std::function<void(std::function<void()>)> wake)
    : shared_(std::make_shared<Shared>()), wake_(std::move(wake)) {}

MainQueue::~MainQueue() {
  std::deque<std::function<void()>> dropped;  // destroyed outside the lock: captures may post
  const std::scoped_lock lock(shared_->mutex);
  dropped.swap(shared_->queue);
}

void MainQueue::post(std::function<void()> work) {
  bool send = false;
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->queue.push_back(std::move(work));
    send = !std::exchange(shared_->wake_sent, true);
  }
  shared_->filled.notify_one();
  if (!send || !wake_) return;
  wake_([late = std::weak_ptr<Shared>(shared_)] {
    if (const auto shared = late.lock()) shared->drain();
  });
}

void MainQueue::drain() {
  const auto keep = shared_;  // work may end the queue's owner
  keep->drain();
}

void MainQueue::wait_and_drain(std::chrono::milliseconds longest) {
  const auto keep = shared_;
  {
    std::unique_lock lock(keep->mutex);
    keep->filled.wait_for(lock, longest, [&] { return !keep->queue.empty(); });
  }
  keep->drain();
}

}  // namespace moescope
