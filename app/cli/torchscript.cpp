#include "app/cli/torchscript.h"

#include <fmt/format.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <thread>

#include "app/cli/console.h"

namespace moescope::cli {
namespace {

// Cancels a run when its time is over.
class Deadline {
 public:
  Deadline(CancelToken cancel, double seconds)
      : thread_([this, cancel = std::move(cancel), seconds] {
          std::unique_lock lock(mutex_);
          if (done_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return finished_; })) return;
          passed_ = true;
          cancel.cancel();
        }) {}
  ~Deadline() { stop(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Whether it passed.
  bool stop() {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    done_.notify_all();
    if (thread_.joinable()) thread_.join();
    return passed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool finished_ = false, passed_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

Expected<SequenceInput> script_ids(const std::string& ids) {
  SequenceInput out;
  std::istringstream parts(ids);
  for (std::string part; std::getline(parts, part, ',');) {
    std::size_t used = 0;
    int id = -1;
    try {
      id = std::stoi(part, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (id < 0 || part.find_first_not_of(' ', used) != std::string::npos) {
      return fail(ErrorKind::usage, "token ids are whole numbers, parted by commas", part);
    }
    out.ids.push_back(id);
  }
  if (out.ids.empty()) return fail(ErrorKind::usage, "give at least one token id", "--ids");
  return out;
}

Expected<RunSummary> run_torchscript(RunRequest request, const ScriptLimits& limits) {
  std::error_code error;
  request.checkpoint = std::filesystem::absolute(request.checkpoint, error).string();
  if (!request.out.empty()) request.out = std::filesystem::absolute(request.out, error).string();
  request.memory_limit = static_cast<std::uint64_t>(limits.memory_gb * 1e9);
  const auto engine = make_worker_engine();
  const ProgressBar bar("Script");
  Deadline deadline(bar.work().cancel, limits.seconds);
  auto summary = engine->run(request, bar.work());
  if (deadline.stop() && !summary) {
    return fail(ErrorKind::input, fmt::format("the script did not end within {:g} seconds", limits.seconds),
                request.checkpoint, "Give it more with --time-limit, or fewer tokens");
  }
  return summary;
}

Expected<void> describe_torchscript(const std::string& file, bool json) {
  RunRequest request;
  request.checkpoint = file;
  request.script = ScriptOptions{.inspect = true, .routers = {}};
  const auto summary = run_torchscript(std::move(request), {});
  if (!summary) return fail(summary.error());
  if (json) return print_json({{"kind", "torchscript"}, {"file", file}, {"notes", summary->notes}});
  Facts facts("TorchScript " + std::filesystem::path(file).filename().string());
  facts.add("file", file);
  for (const std::string& line : summary->notes) {
    const std::size_t colon = line.find(": ");
    const bool named = colon != std::string::npos && line.find(',') > colon;
    facts.add(named ? line.substr(0, colon) : "module", named ? line.substr(colon + 2) : line);
  }
  return print(facts.text());
}

}  // namespace moescope::cli
