#include "core/base/process.h"

#include <gtest/gtest.h>

#include <csignal>

namespace moescope::process_test {
namespace {

using std::chrono::milliseconds;

TEST(Process, LinesGoInAndComeBack) {
  auto child = ChildProcess::start("/bin/cat", {});
  ASSERT_TRUE(child.has_value()) << child.error().text();
  const std::string large(300000, 'x');
  ASSERT_TRUE((*child)->send("hello"));
  ASSERT_TRUE((*child)->send(large));
  EXPECT_EQ((*child)->receive(milliseconds(5000)).value_or(""), "hello");
  EXPECT_EQ((*child)->receive(milliseconds(5000)).value_or(""), large);
  EXPECT_FALSE((*child)->receive(milliseconds(10)).has_value());
  EXPECT_FALSE((*child)->ended());
}

TEST(Process, ExitCodeAndLastErrorLinesAreKept) {
  auto child = ChildProcess::start("/bin/sh", {"-c", "echo one >&2; echo two >&2; exit 7"});
  ASSERT_TRUE(child.has_value());
  EXPECT_FALSE((*child)->receive(milliseconds(5000)).has_value());
  EXPECT_TRUE((*child)->ended());
  EXPECT_EQ((*child)->wait().words(), "ended with exit code 7");
  EXPECT_EQ((*child)->last_errors(), (std::vector<std::string>{"one", "two"}));
}

TEST(Process, AKilledChildSaysBySignal) {
  auto child = ChildProcess::start("/bin/cat", {});
  ASSERT_TRUE(child.has_value());
  (*child)->kill();
  const ProcessExit end = (*child)->wait();
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_FALSE((*child)->send("x") && (*child)->receive(milliseconds(1000)).has_value());
}

TEST(Process, AMissingProgramIsAnError) {
  const auto child = ChildProcess::start("/nowhere/at-all", {});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().kind, ErrorKind::module);
}

TEST(Process, KnowsItsOwnFoldersAndMemory) {
  EXPECT_TRUE(std::filesystem::is_directory(program_folder()));
  EXPECT_TRUE(std::filesystem::is_directory(core_library_folder()));
  EXPECT_GT(peak_resident_bytes(), 1U << 20U);
}

}  // namespace
}  // namespace moescope::process_test
