#include "core/base/jobs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

namespace moescope::jobs_test {
namespace {

using namespace std::chrono_literals;

// Work that runs until it is cancelled.
Expected<void> until_cancelled(const WorkContext& context) {
  while (!context.cancelled()) std::this_thread::sleep_for(1ms);
  return fail(ErrorKind::cancelled, "stopped");
}

struct Jobs : testing::Test {
  MainQueue queue;
  std::atomic<int> notices{0};
  JobSystem jobs{queue, [this] { ++notices; }, 3};
};

TEST_F(Jobs, ResultsComeBackOnTheThreadThatDrains) {
  const auto main = std::this_thread::get_id();
  std::thread::id worker, back;
  jobs.start({"add", "", JobLane::pool,
              [&](const WorkContext&) -> Expected<void> {
                worker = std::this_thread::get_id();
                return {};
              },
              [&](const Expected<void>& outcome) {
                EXPECT_TRUE(outcome.has_value());
                back = std::this_thread::get_id();
              }});
  jobs.wait_until_idle();
  EXPECT_EQ(back, main);
  EXPECT_NE(worker, main);
  EXPECT_GE(notices.load(), 1);
  ASSERT_EQ(jobs.list().size(), 1U);
  EXPECT_EQ(jobs.list()[0].state, JobState::done);
}

TEST_F(Jobs, ManyJobsAllFinishOnce) {
  std::atomic<int> worked{0};
  int finished = 0;
  for (int i = 0; i < 500; ++i) {
    jobs.start({"job", "", i % 5 == 0 ? JobLane::serial : JobLane::pool,
                [&](const WorkContext& context) -> Expected<void> {
                  context.report("half", 0.5);
                  ++worked;
                  return {};
                },
                [&](const Expected<void>&) { ++finished; }});
  }
  jobs.wait_until_idle();
  EXPECT_EQ(worked.load(), 500);
  EXPECT_EQ(finished, 500);
  EXPECT_LE(jobs.list().size(), 60U) << "ended jobs must be forgotten in time";
}

TEST_F(Jobs, TheSerialLaneRunsOneAtATimeAndInOrder) {
  std::atomic<int> inside{0};
  std::vector<int> order;
  for (int i = 0; i < 30; ++i) {
    jobs.start({"run",
                "",
                JobLane::serial,
                [&, i](const WorkContext&) -> Expected<void> {
                  EXPECT_EQ(++inside, 1);
                  order.push_back(i);
                  --inside;
                  return {};
                },
                {}});
  }
  jobs.wait_until_idle();
  ASSERT_EQ(order.size(), 30U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(Jobs, ANewerJobOfASlotMakesTheOlderStale) {
  int old_calls = 0, new_calls = 0;
  std::promise<void> begun;
  jobs.start({"old", "load", JobLane::pool,
              [&](const WorkContext& context) {
                begun.set_value();
                return until_cancelled(context);
              },
              [&](const Expected<void>&) { ++old_calls; }});
  begun.get_future().wait();
  jobs.start({"new", "load", JobLane::pool, [](const WorkContext&) -> Expected<void> { return {}; },
              [&](const Expected<void>&) { ++new_calls; }});
  jobs.wait_until_idle();
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 1);
  ASSERT_EQ(jobs.list().size(), 1U);
  EXPECT_EQ(jobs.list()[0].title, "new");
}

TEST_F(Jobs, AFinishedButUndeliveredJobCanStillBecomeStale) {
  std::atomic<bool> worked{false};
  int calls = 0;
  jobs.start({"old", "load", JobLane::pool,
              [&](const WorkContext&) -> Expected<void> {
                worked = true;
                return {};
              },
              [&](const Expected<void>&) { ++calls; }});
  while (!worked) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(10ms);  // its result waits in the queue, nobody has drained yet
  jobs.retire_slot("load");
  jobs.wait_until_idle();
  EXPECT_EQ(calls, 0);
}

TEST_F(Jobs, RapidReplacementInASlotDeliversOnlyTheLast) {
  std::vector<int> delivered;
  for (int i = 0; i < 200; ++i) {
    jobs.start({"step", "slider", JobLane::pool, [](const WorkContext&) -> Expected<void> { return {}; },
                [&, i](const Expected<void>&) { delivered.push_back(i); }});
  }
  jobs.wait_until_idle();
  EXPECT_EQ(delivered, std::vector<int>{199});
}

TEST_F(Jobs, CancelStopsRunningAndWaitingWork) {
  std::vector<std::int64_t> ids;
  int cancelled = 0;
  for (int i = 0; i < 10; ++i) {  // more than there are threads
    ids.push_back(jobs.start({"endless", "", JobLane::pool, until_cancelled, [&](const Expected<void>& outcome) {
                                ASSERT_FALSE(outcome.has_value());
                                cancelled += outcome.error().kind == ErrorKind::cancelled ? 1 : 0;
                              }}));
  }
  for (const std::int64_t id : ids) EXPECT_TRUE(jobs.cancel(id));
  jobs.wait_until_idle();
  EXPECT_EQ(cancelled, 10);
  EXPECT_FALSE(jobs.cancel(ids[0]));
  EXPECT_FALSE(jobs.cancel(12345));
}

TEST_F(Jobs, AnExceptionBecomesAnErrorOfTheJob) {
  Error seen;
  const auto id = jobs.start({"throws", "", JobLane::pool,
                              [](const WorkContext&) -> Expected<void> { throw std::runtime_error("broken"); },
                              [&](const Expected<void>& outcome) { seen = outcome.error(); }});
  jobs.wait_until_idle();
  EXPECT_EQ(seen.kind, ErrorKind::internal);
  EXPECT_EQ(seen.what, "broken");
  EXPECT_EQ(jobs.status(id)->state, JobState::failed);
  EXPECT_EQ(jobs.status(id)->error->what, "broken");
}

TEST_F(Jobs, ProgressIsSeenWhileTheJobRuns) {
  std::atomic<bool> go_on{false};
  const auto id = jobs.start({"capture",
                              "",
                              JobLane::serial,
                              [&](const WorkContext& context) -> Expected<void> {
                                context.report("layer 3 of 6", 0.5);
                                while (!go_on) std::this_thread::sleep_for(1ms);
                                return {};
                              },
                              {}});
  while (jobs.status(id)->fraction < 0.5) queue.wait_and_drain(1ms);
  EXPECT_EQ(jobs.status(id)->stage, "layer 3 of 6");
  EXPECT_EQ(jobs.status(id)->state, JobState::running);
  EXPECT_GE(jobs.status(id)->seconds_left, 0);
  go_on = true;
  jobs.wait_until_idle();
}

TEST(JobSystem, EndsCleanlyWithWorkStillRunningAndQueued) {
  MainQueue queue;
  std::atomic<int> finished{0};
  {
    JobSystem jobs(queue, {}, 2);
    for (int i = 0; i < 8; ++i) {
      jobs.start({"endless", "", JobLane::pool, until_cancelled, [&](const Expected<void>&) { ++finished; }});
    }
    std::this_thread::sleep_for(5ms);
  }
  queue.drain();
  EXPECT_EQ(finished.load(), 0) << "nothing is delivered to an owner that has gone";
}

TEST(JobSystem, AJobMayStartAnotherWhenItFinishes) {
  MainQueue queue;
  JobSystem jobs(queue, {}, 1);
  int depth = 0;
  std::function<void()> next = [&] {
    if (++depth > 5) return;
    jobs.start({"chain", "", JobLane::pool, [](const WorkContext&) -> Expected<void> { return {}; },
                [&](const Expected<void>&) { next(); }});
  };
  next();
  jobs.wait_until_idle();
  EXPECT_EQ(depth, 6);
}

TEST(MainQueue, AWakeThatComesAfterTheQueueEndedDoesNothing) {
  std::vector<std::function<void()>> wakes;
  int ran = 0;
  {
    MainQueue queue([&](std::function<void()> wake) { wakes.push_back(std::move(wake)); });
    queue.post([&] { ++ran; });
    queue.post([&] { ++ran; });
    ASSERT_EQ(wakes.size(), 1U) << "one wake is enough for all that is queued";
  }
  wakes[0]();
  EXPECT_EQ(ran, 0);
}

}  // namespace
}  // namespace moescope::jobs_test
