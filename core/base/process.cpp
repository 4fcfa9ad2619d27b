#include "core/base/process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>

extern char** environ;

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kept_error_lines = 20;

// Out-of-memory kills that the kernel has counted for this process's group, or else for the machine.
std::uint64_t memory_kills() {
  std::string group = "/sys/fs/cgroup";
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    if (line.starts_with("0::")) group += line.substr(3);
  }
  for (const std::string& path : {group + "/memory.events", std::string("/proc/vmstat")}) {
    std::ifstream file(path);
    std::string name;
    std::uint64_t count = 0;
    while (file >> name >> count) {
      if (name == "oom_kill") return count;
    }
  }
  return 0;
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

std::string ProcessExit::words() const {
  if (signal == 0) return fmt::format("ended with exit code {}", code);
  const std::string base = fmt::format("was killed by signal {} ({})", signal, ::strsignal(signal));
  return out_of_memory ? base + ": the system ran out of memory" : base;
}

struct ChildProcess::State {
  pid_t pid = -1;
  Descriptor stream, errors;
  std::string received, error_text;
  std::deque<std::string> lines, error_lines;
  bool closed = false;
  std::optional<ProcessExit> exit;
  std::uint64_t memory_kills_before = 0;

  // Moves what can be read now into the line queues.
  void drain() {
    char buffer[65536];
    while (stream.get() >= 0 && !closed) {
      const ssize_t n = ::read(stream.get(), buffer, sizeof buffer);
      if (n > 0) {
        take(received, std::string_view(buffer, static_cast<std::size_t>(n)), lines);
      } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        closed = true;
      } else if (errno == EAGAIN) {
        break;
      }
    }
    while (errors.get() >= 0) {
      const ssize_t n = ::read(errors.get(), buffer, sizeof buffer);
      if (n > 0) {
        take(error_text, std::string_view(buffer, static_cast<std::size_t>(n)), error_lines);
        while (error_lines.size() > kept_error_lines) error_lines.pop_front();
      } else if (n < 0 && errno == EINTR) {
        continue;
      } else {
        if (n == 0) errors.reset();
        break;
      }
    }
  }

  static void take(std::string& rest, std::string_view data, std::deque<std::string>& out) {
    rest.append(data);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      out.push_back(rest.substr(begin, end - begin));
    }
    rest.erase(0, begin);
  }

  // Waits until something can be read (or written, when `writing`) or the time is over.
  void poll_for(std::chrono::milliseconds timeout, bool writing) {
    pollfd fds[2] = {{closed && !writing ? -1 : stream.get(), static_cast<short>(POLLIN | (writing ? POLLOUT : 0)), 0},
                     {errors.get(), POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(timeout.count()));
  }

  [[nodiscard]] bool reap(int flags) {
    if (exit) return true;
    int status = 0;
    pid_t got = 0;
    do {
      got = ::waitpid(pid, &status, flags);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return false;
    ProcessExit end;
    if (got == pid && WIFSIGNALED(status)) {
      end.signal = WTERMSIG(status);
      end.out_of_memory = end.signal == SIGKILL && memory_kills() > memory_kills_before;
    } else if (got == pid && WIFEXITED(status)) {
      end.code = WEXITSTATUS(status);
    }
    exit = end;
    return true;
  }
};

ChildProcess::ChildProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}

Expected<std::unique_ptr<ChildProcess>> ChildProcess::start(const std::filesystem::path& program,
                                                            const std::vector<std::string>& arguments) {
  int pair[2], pipe[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(ErrorKind::module,
                fmt::format("no pipe for {}: {}", program.filename().string(), std::strerror(errno)));
  }
  Descriptor ours(pair[0]), theirs(pair[1]);
  if (::pipe2(pipe, O_CLOEXEC) != 0) {
    return fail(ErrorKind::module,
                fmt::format("no pipe for {}: {}", program.filename().string(), std::strerror(errno)));
  }
  Descriptor errors(pipe[0]), their_errors(pipe[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, their_errors.get(), STDERR_FILENO);
  // A group of its own: Ctrl+C in a terminal reaches the program, which then cancels in order.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);

  std::vector<std::string> texts{program.string()};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(texts.size() + 1);
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);

  auto state = std::make_unique<State>();
  state->memory_kills_before = memory_kills();
  const int failed = ::posix_spawn(&state->pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return fail(ErrorKind::module,
                fmt::format("{} could not be started: {}", program.filename().string(), std::strerror(failed)),
                program.string());
  }
  set_nonblocking(ours.get());
  set_nonblocking(errors.get());
  state->stream = std::move(ours);
  state->errors = std::move(errors);
  return std::unique_ptr<ChildProcess>(new ChildProcess(std::move(state)));
}

ChildProcess::~ChildProcess() {
  state_->stream.reset();
  const auto deadline = Clock::now() + std::chrono::milliseconds(100);
  while (!state_->reap(WNOHANG)) {
    if (Clock::now() >= deadline) {
      kill();
      static_cast<void>(state_->reap(0));
      break;
    }
    ::usleep(2000);
  }
}

bool ChildProcess::send(std::string_view line) {
  std::string data(line);
  data.push_back('\n');
  std::size_t sent = 0;
  while (sent < data.size()) {
    const ssize_t n = ::send(state_->stream.get(), data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      state_->poll_for(std::chrono::milliseconds(100), true);
      state_->drain();
      if (state_->closed) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

std::optional<std::string> ChildProcess::receive(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    if (state_->lines.empty()) state_->drain();
    if (!state_->lines.empty()) {
      std::string line = std::move(state_->lines.front());
      state_->lines.pop_front();
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (state_->closed || left.count() <= 0) return std::nullopt;
    state_->poll_for(left, false);
  }
}

bool ChildProcess::ended() const {
  return state_->closed && state_->lines.empty();
}

ProcessExit ChildProcess::wait() {
  static_cast<void>(state_->reap(0));
  state_->drain();
  return *state_->exit;
}

void ChildProcess::kill() {
  if (!state_->exit && state_->pid > 0) ::kill(state_->pid, SIGKILL);
}

int ChildProcess::id() const {
  return state_->pid;
}

std::vector<std::string> ChildProcess::last_errors() {
  state_->drain();
  std::vector<std::string> out(state_->error_lines.begin(), state_->error_lines.end());
  if (!state_->error_text.empty()) out.push_back(state_->error_text);
  return out;
}

std::filesystem::path program_folder() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
}

std::filesystem::path core_library_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&program_folder), &info) == 0 || !info.dli_fname) return {};
  std::error_code failed;
  const auto whole = std::filesystem::weakly_canonical(info.dli_fname, failed);
  return failed ? std::filesystem::path() : whole.parent_path();
}

std::uint64_t available_memory_bytes() {
  std::ifstream file("/proc/meminfo");
  std::uint64_t kilobytes = 0;
  for (std::string word; file >> word;) {
    if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

std::filesystem::path user_cache_folder() {
  for (const auto& [name, below] : {std::pair("XDG_CACHE_HOME", "moescope"), std::pair("HOME", ".cache/moescope")}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && std::filesystem::path(value).is_absolute()) return std::filesystem::path(value) / below;
  }
  return {};
}

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

}  // namespace moescope
