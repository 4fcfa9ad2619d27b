#include "core/io/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <numeric>
#include <thread>
#include <vector>

#include "tests/core/io/temporary_folder.h"

namespace moescope::mapped_file_test {
namespace {

using fixtures::TemporaryFolder;

std::size_t sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0},
                         [](std::size_t total, std::byte b) { return total + std::to_integer<std::size_t>(b); });
}

TEST(MappedFile, GivesTheBytesOfTheFile) {
  const TemporaryFolder folder;
  const auto file = MappedFile::open(folder.write("a", "hello")).value();
  ASSERT_EQ(file->bytes().size(), 5U);
  EXPECT_EQ(static_cast<char>(file->bytes()[4]), 'o');
  EXPECT_FALSE(file->fault());
}

TEST(MappedFile, EmptyFileGivesNoBytes) {
  const TemporaryFolder folder;
  const auto file = MappedFile::open(folder.write("a", "")).value();
  EXPECT_TRUE(file->bytes().empty());
  EXPECT_FALSE(file->fault());
}

TEST(MappedFile, FollowsSymbolicLinks) {
  const TemporaryFolder folder;
  folder.write("blob", "data");
  std::filesystem::create_symlink("blob", folder.path() / "link");
  EXPECT_EQ(MappedFile::open(folder.path() / "link").value()->bytes().size(), 4U);
}

TEST(MappedFile, RefusesWhatIsNotAPlainFileAndDoesNotWait) {
  const TemporaryFolder folder;
  EXPECT_EQ(MappedFile::open(folder.path()).error().kind, ErrorKind::input);
  EXPECT_EQ(MappedFile::open(folder.path() / "missing").error().where, (folder.path() / "missing").string());
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder.path() / "pipe").error().kind, ErrorKind::input);
}

TEST(MappedFile, ReadingAfterTruncationIsAnErrorOfTheFileNotACrash) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(1'000'000, '\1'));
  const auto file = MappedFile::open(path).value();
  EXPECT_EQ(sum(file->bytes().first(10)), 10U);
  std::filesystem::resize_file(path, 5'000);
  EXPECT_LT(sum(file->bytes()), 10'000U);  // what is gone reads as zeros
  const auto fault = file->fault();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, ErrorKind::input);
  EXPECT_EQ(fault->where, path.string());
  EXPECT_FALSE(fault->advice.empty());
}

TEST(MappedFile, CutInsideTheLastPageIsSeenWithoutAnyRead) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(100, '\1'));
  const auto file = MappedFile::open(path).value();
  std::filesystem::resize_file(path, 50);
  EXPECT_TRUE(file->fault());
}

TEST(MappedFile, OnlyTheLostFileIsAtFaultAndManyThreadsMayHitItAtOnce) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(4'000'000, '\1'));
  const auto lost = MappedFile::open(path).value();
  std::vector<std::shared_ptr<const MappedFile>> others;
  for (int i = 0; i < 600; ++i) others.push_back(MappedFile::open(folder.write("b", "kept")).value());
  std::filesystem::resize_file(path, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back(
        [&, t] { EXPECT_EQ(sum(lost->bytes().subspan(static_cast<std::size_t>(t) * 1'000'000)), 0U); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(lost->fault());
  for (const auto& other : others) EXPECT_FALSE(other->fault());
}

TEST(MappedFile, SlotsAreReusedAfterFilesClose) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(10'000, '\1'));
  for (int i = 0; i < 1000; ++i) {
    const auto file = MappedFile::open(path).value();
    EXPECT_FALSE(file->fault());
  }
}

TEST(MappedFileDeathTest, FaultsThatAreNotOursStillEndTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TemporaryFolder folder;
  EXPECT_DEATH(
      {
        const auto path = folder.write("foreign", std::string(10'000, '\1'));
        const auto ours = MappedFile::open(path).value();
        FILE* const file = std::fopen(path.c_str(), "r");
        void* const foreign = ::mmap(nullptr, 10'000, PROT_READ, MAP_SHARED, ::fileno(file), 0);
        std::filesystem::resize_file(path, 0);
        std::printf("%d", static_cast<const volatile char*>(foreign)[5000]);
      },
      "");
}

}  // namespace
}  // namespace moescope::mapped_file_test
