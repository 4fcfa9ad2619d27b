// The seed corpus of the fuzzers as plain tests: every file goes through the entry point of its folder.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fuzz/entry_points.h"

namespace moescope::fuzz {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

class SeedCorpus : public ::testing::TestWithParam<Target> {};

TEST_P(SeedCorpus, EverySeedIsReadOrRefused) {
  const auto folder = std::filesystem::path(MOESCOPE_TEST_DATA) / "fuzz" / GetParam().name;
  std::size_t seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    const std::string bytes = content(entry.path());
    GetParam().run(std::as_bytes(std::span(bytes)));
    ++seeds;
  }
  EXPECT_GE(seeds, 2U);
  GetParam().run({});
}

INSTANTIATE_TEST_SUITE_P(Targets, SeedCorpus, ::testing::ValuesIn(targets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace moescope::fuzz
