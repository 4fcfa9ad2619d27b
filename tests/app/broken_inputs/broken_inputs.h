// Ten broken files and folders that a program must refuse with one clear error each. Made from the golden checkpoint.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moescope::test {

struct BrokenInput {
  std::string name;            // "truncated_header"
  std::filesystem::path path;  // what to open
  std::string expected;        // words that the error must hold
};

// Writes them under `folder`, which is made when absent.
[[nodiscard]] std::vector<BrokenInput> make_broken_inputs(const std::filesystem::path& folder);

}  // namespace moescope::test
