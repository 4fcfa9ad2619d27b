// Reads every #include of core, views, plugins and app and fails where one points the wrong way. The tables below are
// the rules of the architecture (CONTRIBUTING.md) as data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Floors of core, ground first: a folder sees itself and the folders of lower floors.
struct Floor {
  int level;
  std::string_view folder;
};
constexpr std::array<Floor, 12> floors{{{0, "core/base"},
                                        {1, "core/io"},
                                        {2, "core/model"},
                                        {2, "core/trace"},
                                        {3, "core/engine"},
                                        {3, "core/analysis"},
                                        {4, "core/plan"},
                                        {5, "core/figure"},
                                        {6, "core/session"},
                                        {6, "core/report"},
                                        {6, "core/plugin"},
                                        {7, "core/workbench"}}};

// What is above core. `sees` are path prefixes; each folder also sees itself.
struct Upper {
  std::string_view folder;
  std::vector<std::string_view> sees;
};
const std::vector<Upper> uppers{{"views/common", {"core/"}},
                                {"views/shell", {"core/", "views/common/"}},
                                {"views/", {"core/", "views/common/"}},  // every view by itself
                                {"plugins/", {"core/"}},
                                {"app/desktop", {"core/", "views/"}},
                                {"app/", {"core/"}}};

// Libraries that belong to some folders only. A header matches by its beginning.
struct Owned {
  std::string_view what;
  std::vector<std::string_view> headers;
  std::vector<std::string_view> folders;
};
const std::vector<Owned> owned{
    {"LibTorch", {"torch/", "ATen/", "c10/", "caffe2/"}, {"plugins/torch_engine/"}},
    {"SQLite", {"sqlite3.h", "SQLiteCpp/"}, {"core/session/"}},
    {"Qt", {"Q", "Qt", "qt", "ui_"}, {"views/", "app/desktop/"}},
    {"VTK", {"vtk"}, {"views/", "app/desktop/"}},
    {"Dear ImGui", {"imgui", "ImGui"}, {"views/", "app/desktop/"}},
    {"OpenGL", {"GL/", "EGL/", "GLES"}, {"views/", "app/desktop/"}},
    {"cpp-httplib", {"httplib.h"}, {"plugins/serving_client/"}},
    {"CLI11", {"CLI/"}, {"app/", "plugins/torch_engine/train/main.cpp"}},
    // Programs own their process and terminal; everything else goes through core/base and core/io. The probe shares a
    // page with the test that kills the process.
    {"the platform",
     {"unistd.h", "fcntl.h", "dlfcn.h", "signal.h", "spawn.h", "poll.h", "sched.h", "pthread.h", "termios.h", "sys/",
      "netinet/", "arpa/", "linux/", "windows.h"},
     {"core/base/", "core/io/", "app/", "plugins/torch_engine/train/main.cpp", "core/session/transaction_probe.cpp"}}};

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return text.starts_with(prefix); });
}

// "views/experts" of "views/experts/x/y.cpp"; "core/base" of "core/base/error.h".
std::string folder_of(std::string_view path) {
  const auto first = path.find('/');
  const auto second = first == std::string_view::npos ? first : path.find('/', first + 1);
  return std::string(path.substr(0, second));
}

std::optional<int> floor_of(std::string_view folder) {
  for (const Floor& floor : floors) {
    if (floor.folder == folder) return floor.level;
  }
  return std::nullopt;
}

// Why `file` must not include `header`, or nothing. Both are paths from the root; `quoted` as in "…".
std::optional<std::string> objection(std::string_view file, std::string_view header, bool quoted) {
  for (const Owned& library : owned) {
    if (!starts_with_any(header, library.headers)) continue;
    if (!starts_with_any(file, library.folders)) return "only some folders may see " + std::string(library.what);
    return std::nullopt;
  }
  const bool ours = starts_with_any(header, {"core/", "views/", "plugins/", "app/", "tests/"});
  if (!ours) return quoted ? std::optional<std::string>("quoted includes are written from the root") : std::nullopt;
  if (!quoted) return "own headers are included in quotes";
  const std::string from = folder_of(file);
  const std::string to = folder_of(header);
  if (from == to) return std::nullopt;
  if (file.starts_with("core/")) {
    const auto below = floor_of(to);
    const auto here = floor_of(from);
    if (!here) return "folder " + from + " has no floor";
    if (below && *below < *here) return std::nullopt;
    return from + " may not see " + to;
  }
  for (const Upper& upper : uppers) {
    if (!file.starts_with(upper.folder)) continue;
    if (starts_with_any(header, upper.sees)) return std::nullopt;
    return from + " may not see " + to;
  }
  return "folder " + from + " is in no table of rules";
}

struct Include {
  std::string header;
  bool quoted = false;
};

std::optional<Include> parse_include(std::string_view line) {
  const auto skip_blanks = [&] {
    const auto at = line.find_first_not_of(" \t");
    line.remove_prefix(std::min(at, line.size()));
  };
  skip_blanks();
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  skip_blanks();
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(7);
  skip_blanks();
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const auto end = line.find(line[0] == '"' ? '"' : '>', 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Include{std::string(line.substr(1, end - 1)), line[0] == '"'};
}

struct Findings {
  std::vector<std::string> wrong;
  std::size_t files = 0, includes = 0;
};

Findings check_tree(const fs::path& root) {
  Findings findings;
  for (const char* top : {"core", "views", "plugins", "app"}) {
    if (!fs::exists(root / top)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp" && extension != ".in")) continue;
      const std::string file = fs::relative(entry.path(), root).generic_string();
      ++findings.files;
      std::ifstream stream(entry.path());
      std::string line;
      for (int number = 1; std::getline(stream, line); ++number) {
        const auto include = parse_include(line);
        if (!include) continue;
        ++findings.includes;
        if (const auto reason = objection(file, include->header, include->quoted)) {
          findings.wrong.push_back(file + ":" + std::to_string(number) + ": " + include->header + ": " + *reason);
        }
      }
    }
  }
  return findings;
}

TEST(IncludeCheck, EveryArrowOfTheSourceTreeRunsDown) {
  const Findings findings = check_tree(MOESCOPE_SOURCE_DIR);
  EXPECT_GT(findings.files, 50U) << "the sources were not found";
  EXPECT_GT(findings.includes, 200U);
  for (const auto& wrong : findings.wrong) ADD_FAILURE() << wrong;
}

TEST(IncludeCheck, ArrowsUpAndSidewaysAreRefused) {
  EXPECT_TRUE(objection("core/base/a.cpp", "core/io/b.h", true));
  EXPECT_TRUE(objection("core/model/a.cpp", "core/trace/trace.h", true));
  EXPECT_TRUE(objection("core/analysis/a.cpp", "core/engine/engine.h", true));
  EXPECT_TRUE(objection("core/figure/a.cpp", "core/session/store.h", true));
  EXPECT_TRUE(objection("core/workbench/a.cpp", "views/common/theme.h", true));
  EXPECT_TRUE(objection("core/newcomer/a.cpp", "core/base/error.h", true));
  EXPECT_TRUE(objection("views/experts/a.cpp", "views/affinity/b.h", true));
  EXPECT_TRUE(objection("views/common/a.cpp", "views/shell/b.h", true));
  EXPECT_TRUE(objection("plugins/torch_engine/a.cpp", "views/common/theme.h", true));
  EXPECT_TRUE(objection("plugins/torch_engine/a.cpp", "plugins/other/b.h", true));
  EXPECT_TRUE(objection("app/cli/a.cpp", "views/common/theme.h", true));
  EXPECT_TRUE(objection("core/base/a.cpp", "tests/x.h", true));
}

TEST(IncludeCheck, LibrariesStayInTheirFolders) {
  EXPECT_TRUE(objection("core/engine/a.cpp", "torch/torch.h", false));
  EXPECT_TRUE(objection("app/cli/a.cpp", "ATen/ATen.h", false));
  EXPECT_TRUE(objection("core/workbench/a.cpp", "SQLiteCpp/Database.h", false));
  EXPECT_TRUE(objection("core/report/a.cpp", "QString", false));
  EXPECT_TRUE(objection("core/figure/a.cpp", "vtkActor.h", false));
  EXPECT_TRUE(objection("app/cli/a.cpp", "imgui.h", true));
  EXPECT_TRUE(objection("core/session/a.cpp", "sys/mman.h", false));
  EXPECT_TRUE(objection("views/common/a.cpp", "dlfcn.h", false));
  EXPECT_TRUE(objection("core/workbench/a.cpp", "CLI/CLI.hpp", false));
}

TEST(IncludeCheck, IncludesAreWrittenFromTheRootAndInQuotes) {
  EXPECT_TRUE(objection("core/base/a.cpp", "error.h", true));
  EXPECT_TRUE(objection("core/base/a.cpp", "../base/error.h", true));
  EXPECT_TRUE(objection("core/base/a.cpp", "core/base/error.h", false));
}

TEST(IncludeCheck, WhatTheRulesAllowIsLeftAlone) {
  EXPECT_FALSE(objection("core/base/a.cpp", "vector", false));
  EXPECT_FALSE(objection("core/base/a.cpp", "unistd.h", false));
  EXPECT_FALSE(objection("core/io/a.cpp", "core/base/error.h", true));
  EXPECT_FALSE(objection("core/workbench/a.cpp", "core/engine/engine.h", true));
  EXPECT_FALSE(objection("core/session/a.cpp", "SQLiteCpp/Database.h", false));
  EXPECT_FALSE(objection("views/experts/a.cpp", "views/common/theme.h", true));
  EXPECT_FALSE(objection("views/experts/a.cpp", "QWidget", false));
  EXPECT_FALSE(objection("plugins/torch_engine/blocks/a.cpp", "plugins/torch_engine/b.h", true));
  EXPECT_FALSE(objection("plugins/torch_engine/a.cpp", "ATen/ATen.h", false));
  EXPECT_FALSE(objection("app/desktop/a.cpp", "views/experts/b.h", true));
}

TEST(IncludeCheck, APlantedWrongIncludeIsFoundWithItsLine) {
  const fs::path root = fs::path(testing::TempDir()) / "include_check_planted";
  fs::remove_all(root);
  fs::create_directories(root / "core/base");
  std::ofstream(root / "core/base/planted.cpp")
      << "#include <vector>\n\n  #  include \"core/trace/trace.h\"\n// #include \"views/x/y.h\"\n";
  const Findings findings = check_tree(root);
  EXPECT_EQ(findings.files, 1U);
  EXPECT_THAT(findings.wrong, testing::ElementsAre("core/base/planted.cpp:3: core/trace/trace.h: "
                                                   "core/base may not see core/trace"));
  fs::remove_all(root);
}

}  // namespace
