#include "core/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace moescope::parallel_test {
namespace {

class ParallelFor : public testing::Test {
 protected:
  void SetUp() override { setenv("MOESCOPE_THREADS", "4", 1); }
  void TearDown() override { unsetenv("MOESCOPE_THREADS"); }
};

TEST_F(ParallelFor, EveryPieceRunsOnceAndWorkersOwnTheirTables) {
  std::vector<int> ran(1000);
  std::vector<long> sums(parallel_workers(ran.size()));
  const auto done = parallel_for(ran.size(), {}, {"test"}, [&](std::size_t i, std::size_t worker) {
    ++ran[i];
    sums[worker] += static_cast<long>(i);
  });
  ASSERT_TRUE(done);
  long sum = 0;
  for (const long part : sums) sum += part;
  EXPECT_EQ(sum, 999 * 1000 / 2);
  for (const int times : ran) EXPECT_EQ(times, 1);
}

TEST_F(ParallelFor, NothingToDoIsDone) {
  EXPECT_TRUE(parallel_for(0, {}, {"test"}, [](std::size_t, std::size_t) { FAIL(); }));
}

TEST_F(ParallelFor, AnExceptionIsAnErrorAndStopsTheRest) {
  std::atomic<int> ran{0};
  const auto done = parallel_for(100000, {}, {"test"}, [&](std::size_t i, std::size_t) {
    ++ran;
    if (i == 3) throw std::runtime_error("broken piece");
    std::this_thread::yield();
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::internal);
  EXPECT_EQ(done.error().what, "broken piece");
  EXPECT_LT(ran.load(), 100000);
}

TEST_F(ParallelFor, ACancelStopsBetweenPieces) {
  WorkContext work;
  std::atomic<int> ran{0};
  const auto done = parallel_for(100000, work, {"test"}, [&](std::size_t, std::size_t) {
    if (++ran == 10) work.cancel.cancel();
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::cancelled);
  EXPECT_LT(ran.load(), 100000);
}

TEST_F(ParallelFor, ProgressComesFromTheCallersThreadAndEndsAtItsPart) {
  WorkContext work;
  std::set<std::thread::id> threads;
  double last = 0;
  work.on_progress = [&](const ProgressReport& report) {
    threads.insert(std::this_thread::get_id());
    EXPECT_GE(report.fraction, last);
    last = report.fraction;
    EXPECT_EQ(report.stage, "stage");
  };
  ASSERT_TRUE(parallel_for(200, work, {"stage", 0.25, 0.5}, [](std::size_t, std::size_t) {}));
  EXPECT_EQ(threads, std::set<std::thread::id>{std::this_thread::get_id()});
  EXPECT_DOUBLE_EQ(last, 0.5);
}

}  // namespace
}  // namespace moescope::parallel_test
