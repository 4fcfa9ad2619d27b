#include "tests/app/cli/program.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace moescope::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void become_program(std::vector<std::string> words, int out, int err) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

std::string drain(int descriptor) {
  std::string out;
  char buffer[4096];
  for (ssize_t n = read(descriptor, buffer, sizeof buffer); n > 0; n = read(descriptor, buffer, sizeof buffer)) {
    out.append(buffer, static_cast<std::size_t>(n));
  }
  return out;
}

int wait_for(pid_t child) {
  int status = 0;
  for (int i = 0; i < 12000; ++i) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return -1;
}

}  // namespace

Outcome run_cli(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryFolder folder;
  std::vector<std::string> words{std::string(MOESCOPE_BINARY_DIR) + "/bin/moescope-cli"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const int out = open(folder.file("out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int master = -1, err = -1;
  if (options.terminal) {
    openpty(&master, &err, nullptr, nullptr, nullptr);
  } else {
    err = open(folder.file("err").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }
  const pid_t child = fork();
  if (child == 0) become_program(words, out, err);
  std::string terminal_text;
  std::thread reader;
  if (options.terminal) {
    close(err);
    reader = std::thread([&] { terminal_text = drain(master); });
  }
  if (options.interrupt) {
    std::this_thread::sleep_for(*options.interrupt);
    kill(child, SIGINT);
  }
  Outcome outcome;
  outcome.code = wait_for(child);
  if (reader.joinable()) reader.join();
  outcome.out = read_text(folder.file("out"));
  outcome.err = options.terminal ? terminal_text : read_text(folder.file("err"));
  close(out);
  close(options.terminal ? master : err);
  return outcome;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "moescope_cli_XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace moescope::test
