// The engine whose runs happen in a `moescope-engine` process: a crash, an out-of-memory kill or an endless run ends
// the worker, not the program.
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>

#include "core/base/process.h"
#include "core/engine/engine.h"
#include "core/engine/worker_protocol.h"

namespace moescope {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds poll_time{20};
// A cancel is asked for first; this long after, the worker is killed, so that 200 ms always hold.
constexpr std::chrono::milliseconds patience{150};

Expected<std::filesystem::path> find_worker() {
  const std::filesystem::path program = program_folder(), core = core_library_folder();
  std::string looked;
  for (const std::filesystem::path& folder : {program, core / "../bin", core / "../../bin"}) {
    const std::filesystem::path file = (folder / "moescope-engine").lexically_normal();
    std::error_code failed;
    if (std::filesystem::is_regular_file(file, failed)) return file;
    looked += (looked.empty() ? "" : ", ") + file.string();
  }
  return fail(ErrorKind::module, "the engine worker moescope-engine was not found", "looked for " + looked,
              "Install the package moescope-engine-torch");
}

class WorkerEngine : public Engine {
 public:
  Expected<EngineInfo> info() override {
    auto answer = ask("info", json(), WorkContext{});
    if (!answer) return fail(answer.error());
    return engine_info_from_json(*answer);
  }

  Expected<RunSummary> run(const RunRequest& request, const WorkContext& work) override {
    auto answer = ask("run", to_json(request), work);
    if (!answer) {
      std::error_code ignored;  // what a killed worker left of the file
      std::filesystem::remove(request.out + ".part", ignored);
      return fail(answer.error());
    }
    return run_summary_from_json(*answer);
  }

 private:
  // Sends one command and waits for its answer, passing progress on.
  Expected<json> ask(const std::string& command, json request, const WorkContext& work) {
    const std::lock_guard lock(mutex_);
    if (!child_) {
      const auto program = find_worker();
      if (!program) return fail(program.error());
      auto started = ChildProcess::start(*program, {});
      if (!started) return fail(started.error());
      child_ = std::move(*started);
    }
    const std::uint64_t id = ++last_id_;
    json message{{"command", command}, {"id", id}};
    if (!request.is_null()) message["request"] = std::move(request);
    if (!child_->send(to_line(message))) return died();

    std::optional<Clock::time_point> asked_to_stop;
    for (;;) {
      if (work.cancelled() && !asked_to_stop) {
        asked_to_stop = Clock::now();
        static_cast<void>(child_->send(to_line({{"command", "cancel"}, {"id", id}})));
      }
      if (asked_to_stop && Clock::now() - *asked_to_stop > patience) {
        child_->kill();
        static_cast<void>(child_->wait());
        child_.reset();
        return fail(ErrorKind::cancelled, "the run was cancelled");
      }
      const auto line = child_->receive(poll_time);
      if (!line) {
        if (!child_->ended()) continue;
        if (asked_to_stop) {
          child_.reset();
          return fail(ErrorKind::cancelled, "the run was cancelled");
        }
        return died();
      }
      const auto answer = parse_line(*line);
      if (!answer || answer->value("id", std::uint64_t{0}) != id) continue;
      if (const auto progress = answer->find("progress"); progress != answer->end()) {
        work.report(progress->value("stage", ""), progress->value("fraction", -1.0));
      } else if (const auto error = answer->find("error"); error != answer->end()) {
        return fail(error_from_json(*error));
      } else if (const auto result = answer->find("result"); result != answer->end()) {
        return *result;
      }
    }
  }

  // The error of a worker that ended by itself; the next command starts a new one.
  Unexpected died() {
    const ProcessExit end = child_->wait();
    std::string where;
    for (const std::string& line : child_->last_errors()) where += (where.empty() ? "" : "\n") + line;
    child_.reset();
    return fail(ErrorKind::module, "the engine worker " + end.words(), where,
                end.out_of_memory
                    ? "Run fewer or shorter sequences, use bfloat16, or close other programs; the next run "
                      "starts a new worker"
                    : "The next run starts a new worker");
  }

  std::mutex mutex_;
  std::unique_ptr<ChildProcess> child_;
  std::uint64_t last_id_ = 0;
};

}  // namespace

std::shared_ptr<Engine> make_worker_engine() {
  return std::make_shared<WorkerEngine>();
}

}  // namespace moescope
