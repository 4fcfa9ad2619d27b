// A folder that goes away, and sessions in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/base/clock.h"
#include "core/session/session.h"

namespace moescope {

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             ("moescope-session-" + std::to_string(process_id()) + "-" + info->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    file = folder / "study.moescope";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  // Records one edit; fails the test when that fails.
  static std::int64_t record(Session& session, const std::string& kind, const std::string& key,
                             const nlohmann::json& value, const std::string& merge_key = {}) {
    const auto sequence =
        session.record({0, "test", "set " + kind + " " + key, merge_key, false, {{kind, key, nullptr, value}}});
    EXPECT_TRUE(sequence) << sequence.error().text();
    return sequence.value_or(-1);
  }
  static nlohmann::json value_of(const Session& session, const std::string& kind, const std::string& key) {
    const auto items = session.items(kind);
    EXPECT_TRUE(items);
    for (const auto& [name, value] : *items) {
      if (name == key) return value;
    }
    return nullptr;
  }

  std::filesystem::path folder, file;
};

}  // namespace moescope
