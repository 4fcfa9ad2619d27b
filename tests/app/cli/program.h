// Runs the built moescope-cli and keeps what it gave back. For tests.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace moescope::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

struct RunOptions {
  bool terminal = false;                               // stderr is a terminal
  std::optional<std::chrono::milliseconds> interrupt;  // Ctrl+C after this time
};

// Waits for it, at most two minutes.
[[nodiscard]] Outcome run_cli(const std::vector<std::string>& arguments, const RunOptions& options = {});

// A folder of its own that goes away with it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] std::string read_text(const std::filesystem::path& file);
void write_text(const std::filesystem::path& file, const std::string& text);

}  // namespace moescope::test
