// Every importer on every seed: whole, cut off, with changed bytes, and as a format that it is not. Nothing may crash,
// and a refusal says where and what to do.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "core/trace/import/importer.h"
#include "core/trace/trace_file.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::broken_files_test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> seeds() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(fs::path(MOESCOPE_TEST_DATA) / "fuzz/traces"))
    out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class BrokenFiles : public ::testing::Test {
 protected:
  // Imports the bytes under the seed's name; a refusal must be a good one.
  void import(const fs::path& seed, const std::string& bytes, const std::string& format) {
    const auto path = folder_.write(seed.filename().string(), bytes);
    ImportOptions options;
    options.format = format;
    options.k = 2;
    const auto trace = import_trace({path}, options);
    if (trace) {
      const auto checked = check_ids(*trace);
      EXPECT_TRUE(checked) << checked.error().text();
      return;
    }
    EXPECT_NE(trace.error().kind, ErrorKind::internal) << trace.error().text();
    EXPECT_FALSE(trace.error().where.empty()) << seed << " " << format << ": " << trace.error().text();
    EXPECT_FALSE(trace.error().advice.empty()) << seed << " " << format << ": " << trace.error().text();
  }
  fixtures::TemporaryFolder folder_;
};

TEST_F(BrokenFiles, SeedsAreThere) {
  EXPECT_GE(seeds().size(), 20U);
}

TEST_F(BrokenFiles, CutOffAnywhere) {
  for (const fs::path& seed : seeds()) {
    const std::string whole = bytes_of(seed);
    for (std::size_t i = 0; i < 24; ++i) import(seed, whole.substr(0, 1 + whole.size() * i / 24), "");
    for (std::size_t i = 1; i < std::min<std::size_t>(whole.size(), 16); ++i)
      import(seed, whole.substr(0, whole.size() - i), "");
  }
}

TEST_F(BrokenFiles, ChangedAnywhere) {
  std::mt19937_64 random(7);
  for (const fs::path& seed : seeds()) {
    const std::string whole = bytes_of(seed);
    for (int i = 0; i < 60; ++i) {
      std::string bytes = whole;
      const std::size_t changes = 1 + random() % 4;
      for (std::size_t c = 0; c < changes; ++c) {
        const std::size_t at = random() % bytes.size();
        switch (random() % 4) {
          case 0:
            bytes[at] = static_cast<char>(random());
            break;
          case 1:
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
            break;
          case 2:
            bytes.insert(at, 1, static_cast<char>('0' + random() % 10));
            break;
          default:
            bytes.erase(at, 1 + random() % 3);
            break;
        }
        if (bytes.empty()) bytes = "x";
      }
      import(seed, bytes, "");
    }
  }
}

TEST_F(BrokenFiles, ReadAsWhatTheyAreNot) {
  for (const fs::path& seed : seeds()) {
    const std::string whole = bytes_of(seed);
    for (const Importer& importer : importers()) import(seed, whole, importer.name);
  }
}

}  // namespace
}  // namespace moescope::broken_files_test
