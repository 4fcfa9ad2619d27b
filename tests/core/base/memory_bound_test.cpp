#include "core/base/memory_bound.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>

namespace moescope::memory_bound_test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitised = true;  // the sanitizers map far more than is asked of them, and end the program on failure
#else
constexpr bool sanitised = false;
#endif

TEST(MemoryBound, LargeAllocationsFailWhileItIsThereAndNotAfterwards) {
  rlimit before{}, after{};
  ASSERT_EQ(::getrlimit(RLIMIT_DATA, &before), 0);
  {
    const MemoryBound bound(std::uint64_t{256} << 20U);
    rlimit during{};
    ASSERT_EQ(::getrlimit(RLIMIT_DATA, &during), 0);
    EXPECT_LT(during.rlim_cur, before.rlim_cur);
    void* volatile large = sanitised ? nullptr : std::malloc(std::size_t{1} << 30U);
    EXPECT_EQ(large, nullptr);
    std::free(large);
  }
  ASSERT_EQ(::getrlimit(RLIMIT_DATA, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_cur);
}

}  // namespace
}  // namespace moescope::memory_bound_test
