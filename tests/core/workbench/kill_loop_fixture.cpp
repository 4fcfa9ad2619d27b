#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/clock.h"
#include "core/session/session.h"
#include "tests/core/workbench/kill_loop.h"

namespace moescope {
namespace {

// A byte that the child sets while it is inside a transaction; it stays as it was when the child died.
class Flag {
 public:
  explicit Flag(const std::filesystem::path& path) {
    std::ofstream(path, std::ios::binary) << '\0';
    const int file = open(path.c_str(), O_RDWR);
    page_ = static_cast<volatile char*>(mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    close(file);
  }
  ~Flag() { munmap(const_cast<char*>(page_), 1); }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  void clear() { *page_ = 0; }
  [[nodiscard]] bool set() const { return *page_ != 0; }

 private:
  volatile char* page_ = nullptr;
};

struct Child {
  pid_t id = -1;
  int output = -1;
  std::string buffer;
};

Child start(const std::vector<std::string>& program, const std::filesystem::path& script) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) != 0) return {};
  std::vector<char*> arguments;
  for (const std::string& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t id = fork();
  if (id == 0) {
    const int input = open(script.c_str(), O_RDONLY);
    dup2(input, 0);
    dup2(pipes[1], 1);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipes[1]);
  return {id, pipes[0], {}};
}

// Reads replies for `milliseconds`, or to the end of the output when negative, or until `enough` replies are there.
void read_replies(Child& child, double milliseconds, std::size_t enough, std::vector<nlohmann::json>& replies) {
  const double end = monotonic_seconds() + milliseconds / 1000;
  while (replies.size() < enough) {
    const double left = milliseconds < 0 ? 60 : end - monotonic_seconds();
    if (left <= 0) return;
    pollfd wait{child.output, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(left * 1000) + 1) <= 0) return;
    char bytes[4096];
    const ssize_t got = read(child.output, bytes, sizeof bytes);
    if (got <= 0) return;
    child.buffer.append(bytes, static_cast<std::size_t>(got));
    std::size_t line_end = 0;
    while ((line_end = child.buffer.find('\n')) != std::string::npos) {
      if (child.buffer[0] == '{') replies.push_back(nlohmann::json::parse(child.buffer.substr(0, line_end)));
      child.buffer.erase(0, line_end + 1);
    }
  }
}

std::string line(const char* command, const nlohmann::json& arguments = nlohmann::json::object()) {
  return command + (" " + arguments.dump()) + "\n";
}

// More commands than a child lives to run: notes, options, edits, undo and redo.
void write_script(const std::filesystem::path& script, const std::filesystem::path& session, int round) {
  std::ofstream out(script);
  out << line(std::filesystem::exists(session) ? "session.open" : "session.new", {{"path", session.string()}});
  for (int i = 0; i < 400; ++i) {
    const std::string name = "round " + std::to_string(round) + " step " + std::to_string(i);
    out << line("note.add", {{"text", name}, {"anchor", "L0·E00"}});
    out << line("option.set", {{"name", name}, {"value", i}});
    if (i % 3 == 2) out << line("edit.undo");
    if (i % 6 == 5) out << line("edit.redo");
  }
}

// What was printed, as the history it must have left.
struct PrintedHistory {
  std::vector<std::int64_t> done, undone;

  void take(const nlohmann::json& answer) {
    const auto& reply = answer.contains("reply") ? answer["reply"] : answer["value"];  // the desktop says value
    if (!reply.contains("action") || reply["action"] == 0) return;
    const auto sequence = reply["action"].get<std::int64_t>();
    const std::string command = answer["command"];
    if (command == "edit.undo") {
      done.pop_back();
      undone.push_back(sequence);
    } else if (command == "edit.redo") {
      undone.pop_back();
      done.push_back(sequence);
    } else {
      undone.clear();
      done.push_back(sequence);
    }
  }
};

// Beyond what was printed, one command may have been finished but not printed: an undo of the last action, a redo, or
// a new action, which drops what was undone.
void compare(const PrintedHistory& expected, const Session& session, std::vector<std::string>& lost) {
  const auto actions = session.actions();
  if (!actions) {
    lost.push_back(actions.error().text());
    return;
  }
  std::map<std::int64_t, bool> stored;  // sequence -> undone
  for (const Action& action : *actions) stored[action.sequence] = action.undone;
  for (const std::int64_t sequence : expected.done) {
    const auto found = stored.find(sequence);
    if (found == stored.end()) {
      lost.push_back("action " + std::to_string(sequence) + " is missing");
    } else if (found->second && sequence != expected.done.back()) {
      lost.push_back("action " + std::to_string(sequence) + " is undone");
    }
  }
  for (const std::int64_t sequence : expected.undone) {
    const auto found = stored.find(sequence);
    if (found != stored.end() && !found->second && sequence != expected.undone.back()) {
      lost.push_back("action " + std::to_string(sequence) + " is done again");
    }
  }
}

}  // namespace

KillOutcome run_kill_loop(const KillOptions& options) {
  KillOutcome outcome;
  std::mt19937 random(options.seed);
  const auto flag_path = options.folder / "flag";
  const auto script = options.folder / "script.jsonl";
  Flag flag(flag_path);
  setenv("MOESCOPE_TEST_TRANSACTION_FLAG", flag_path.c_str(), 1);
  setenv("MOESCOPE_TEST_TRANSACTION_DELAY_MS", std::to_string(options.transaction_delay_ms).c_str(), 1);
  PrintedHistory history;
  for (int round = 0; round < options.rounds; ++round) {
    // A session lives through several deaths, then a new one begins.
    const auto path = options.folder / ("session-" + std::to_string(round / 8) + ".moescope");
    if (round % 8 == 0) history = {};
    write_script(script, path, round);
    flag.clear();
    Child child = start(options.program, script);
    std::vector<nlohmann::json> replies;
    const std::size_t enough = 2 + random() % 8;
    read_replies(child, 30000, enough, replies);
    const double wait = options.longest_wait_ms * static_cast<double>(random() % 1000) / 1000;
    sleep_milliseconds(wait);
    kill(child.id, SIGKILL);
    int status = 0;
    waitpid(child.id, &status, 0);
    ++outcome.rounds;
    outcome.inside += flag.set() ? 1 : 0;
    read_replies(child, -1, SIZE_MAX, replies);
    close(child.output);
    if (replies.size() < enough) outcome.lost.push_back("the child ended by itself");
    for (const nlohmann::json& answer : replies) {
      if (!answer.value("ok", false)) {
        outcome.lost.push_back("a command failed: " + answer.dump());
        continue;
      }
      history.take(answer);
      ++outcome.actions;
    }
    unsetenv("MOESCOPE_TEST_TRANSACTION_FLAG");  // not for our own reading
    const auto session = Session::open(path);
    if (!session) {
      outcome.lost.push_back(session.error().text());
    } else {
      compare(history, *session, outcome.lost);
      const auto problems = session->check();
      if (!problems) outcome.lost.push_back(problems.error().text());
      if (problems) outcome.lost.insert(outcome.lost.end(), problems->begin(), problems->end());
      // What the last, unprinted command did becomes known.
      history = {};
      for (const Action& action : session->actions().value_or(std::vector<Action>{})) {
        (action.undone ? history.undone : history.done).push_back(action.sequence);
      }
      std::reverse(history.undone.begin(), history.undone.end());
    }
    setenv("MOESCOPE_TEST_TRANSACTION_FLAG", flag_path.c_str(), 1);
  }
  unsetenv("MOESCOPE_TEST_TRANSACTION_FLAG");
  unsetenv("MOESCOPE_TEST_TRANSACTION_DELAY_MS");
  return outcome;
}

}  // namespace moescope
