// The golden checkpoint, and copies of it that a test may spoil.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace moescope::test {

inline std::filesystem::path golden_checkpoint() {
  return std::filesystem::path(MOESCOPE_TEST_DATA) / "golden/olmoe";
}

inline std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// Config and weights of the golden checkpoint in `folder`, which is made.
inline std::filesystem::path copy_golden_checkpoint(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(golden_checkpoint() / name, folder / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  return folder;
}

}  // namespace moescope::test
