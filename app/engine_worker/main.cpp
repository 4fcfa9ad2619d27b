// moescope-engine: runs models for another program, which talks to it in lines of JSON (core/engine/worker_protocol.h).
// A reader thread takes commands, so that a cancel is seen while a run is under way; the main thread runs.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/threads.h"
#include "core/base/version.h"
#include "core/engine/engine.h"
#include "core/engine/worker_protocol.h"

namespace {

using moescope::CancelToken;
using moescope::Expected;
using nlohmann::json;

struct Command {
  std::string name;
  std::uint64_t id = 0;
  json request;
  CancelToken cancel;
};

// Commands that wait, and the one that runs.
class Inbox {
 public:
  void push(Command command) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(command));
    changed_.notify_one();
  }
  Command next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty(); });
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
    return current_;
  }
  void cancel(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (current_.id == id) current_.cancel.cancel();
    for (Command& command : waiting_) {
      if (command.id == id) command.cancel.cancel();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Command> waiting_;
  Command current_;
};

void read_commands(Inbox& inbox) {
  for (std::string line; std::getline(std::cin, line);) {
    auto message = moescope::parse_line(line);
    if (!message) continue;
    Command command;
    command.name = message->value("command", "");
    command.id = message->value("id", std::uint64_t{0});
    if (command.name == "cancel") {
      inbox.cancel(command.id);
      continue;
    }
    if (const auto request = message->find("request"); request != message->end()) command.request = std::move(*request);
    inbox.push(std::move(command));
  }
  std::_Exit(0);  // the program is gone: nobody waits for what runs
}

// Lines go to the program; whatever libraries print goes to standard error.
class Outbox {
 public:
  Outbox() : file_(::fdopen(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), "w")) { ::dup2(STDERR_FILENO, STDOUT_FILENO); }
  void write(const json& message) {
    const std::string line = moescope::to_line(message) + "\n";
    std::fwrite(line.data(), 1, line.size(), file_);
    std::fflush(file_);
  }

 private:
  std::FILE* file_;  // open as long as the process
};

// When memory runs out, the worker is the one to go.
void volunteer_for_memory_kill() {
  std::ofstream("/proc/self/oom_score_adj") << 500;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const bool version = std::string(argv[1]) == "--version";
    std::cout << "moescope-engine " << moescope::version_text << " (" << moescope::build_id_text << ")\n";
    if (!version) std::cout << "Runs models for MoEScope. Started by the other programs; takes lines of JSON.\n";
    return version || std::string(argv[1]) == "--help" ? 0 : 1;
  }
  moescope::prepare_process_environment();
  volunteer_for_memory_kill();
  Outbox outbox;
  Inbox inbox;
  std::thread(read_commands, std::ref(inbox)).detach();

  std::shared_ptr<moescope::Engine> engine;
  for (;;) {
    const Command command = inbox.next();
    const auto answer = [&](const char* key, json value) {
      outbox.write({{"id", command.id}, {key, std::move(value)}});
    };
    if (!engine) {
      auto loaded = moescope::load_engine_module();
      if (!loaded) {
        answer("error", moescope::error_to_json(loaded.error()));
        continue;
      }
      engine = std::move(*loaded);
    }
    if (command.name == "info") {
      const auto info = engine->info();
      info ? answer("result", moescope::engine_info_to_json(*info))
           : answer("error", moescope::error_to_json(info.error()));
    } else if (command.name == "run") {
      const auto request = moescope::run_request_from_json(command.request);
      if (!request) {
        answer("error", moescope::error_to_json(request.error()));
        continue;
      }
      moescope::WorkContext work;
      work.cancel = command.cancel;
      work.on_progress = [&](const moescope::ProgressReport& report) {
        answer("progress", {{"stage", report.stage}, {"fraction", report.fraction}});
      };
      const auto summary = engine->run(*request, work);
      summary ? answer("result", moescope::to_json(*summary))
              : answer("error", moescope::error_to_json(summary.error()));
    } else {
      answer("error", moescope::error_to_json({moescope::ErrorKind::usage, "unknown command " + command.name, {}, {}}));
    }
  }
}
