// Recently opened files, kept in the settings folder. Main thread only.
#pragma once

#include <filesystem>
#include <vector>

namespace moescope {

class RecentFiles {
 public:
  // Reads the list; a missing or damaged one is an empty one. An empty folder keeps nothing on disk.
  explicit RecentFiles(const std::filesystem::path& settings_folder);
  // Puts a file first and writes the list; that it cannot be written is no error of the command that opened the file.
  void add(const std::filesystem::path& path);
  [[nodiscard]] const std::vector<std::filesystem::path>& list() const { return list_; }

 private:
  std::filesystem::path file_;
  std::vector<std::filesystem::path> list_;
};

}  // namespace moescope
