#include "plugins/serving_client/serving_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/io/output_file.h"
#include "plugins/serving_client/server_calls.h"

namespace moescope::serving {
namespace {

constexpr std::chrono::milliseconds cancel_look{20};
constexpr std::chrono::milliseconds farewell{120};  // that threads get to leave after a cancel
constexpr std::size_t most_connections = 256;

// What the threads share. Each holds it, so that one that is stuck in a connection can be left behind.
struct Shared {
  explicit Shared(ServingRequest given) : request(std::move(given)) {}
  const ServingRequest request;
  ServerIdentity server;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0, done = 0, running = 0;
  bool stopped = false;
  std::vector<std::shared_ptr<Connection>> connections;
  ServingReport report;
  std::optional<OutputFile> out;
  std::uint64_t written = 0;
  std::optional<Error> fatal;  // the disk is full
};

// Takes prompts until none is left.
void work_through(const std::shared_ptr<Shared>& shared, const std::shared_ptr<Connection>& connection) {
  std::unique_lock lock(shared->mutex);
  while (!shared->stopped && !shared->fatal && shared->next < shared->request.prompts.size()) {
    const std::size_t prompt = shared->next++;
    lock.unlock();
    const auto line = ask(*connection, shared->server, shared->request, prompt);
    lock.lock();
    if (shared->stopped) break;
    ++shared->done;
    if (!line) {
      shared->report.failures.push_back({prompt, line.error()});
    } else if (auto kept = shared->out->write_at(shared->written, std::as_bytes(std::span(line->data(), line->size())));
               !kept) {
      shared->fatal = kept.error();
    } else {
      shared->written += line->size();
      ++shared->report.kept;
    }
    shared->changed.notify_all();
  }
  --shared->running;
  shared->changed.notify_all();
}

// Runs `task` on a thread of its own while watching for a cancel, which breaks the connection. Nothing after a cancel.
template <typename Result, typename Task>
std::optional<Result> watched(const WorkContext& work, const std::shared_ptr<Connection>& connection, Task task) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result> result;
  };
  const auto state = std::make_shared<State>();
  std::thread([state, connection, task = std::move(task)] {
    auto result = task();
    const std::lock_guard lock(state->mutex);
    state->result.emplace(std::move(result));
    state->changed.notify_all();
  }).detach();
  std::unique_lock lock(state->mutex);
  while (!state->result) {
    if (work.cancelled()) {
      connection->stop();
      return std::nullopt;
    }
    state->changed.wait_for(lock, cancel_look);
  }
  return std::move(state->result);
}

Unexpected stopped() {
  return fail(ErrorKind::cancelled, "the capture was stopped");
}

class Capture {
 public:
  Capture(const ServingRequest& request, const WorkContext& work)
      : work_(work), shared_(std::make_shared<Shared>(request)) {}

  Expected<ServingReport> run() {
    const ServingRequest& request = shared_->request;
    if (request.prompts.empty())
      return fail(ErrorKind::usage, "there are no prompts to send", "", "Give a text or a file of prompts");
    if (request.concurrency < 1 || request.concurrency > most_connections) {
      return fail(ErrorKind::usage,
                  fmt::format("{} requests at once are not from 1 to {}", request.concurrency, most_connections));
    }
    auto control = connect();
    if (!control) return fail(control.error());
    work_.report("Asking the server who it is", 0);
    auto server = watched<Expected<ServerIdentity>>(
        work_, *control, [shared = shared_, link = *control] { return identify(*link, shared->request); });
    if (!server) return stopped();
    if (!*server) return fail(server->error());
    shared_->server = **server;
    shared_->report.server = shared_->server.kind == ServerKind::sglang ? "SGLang" : "vLLM";
    if (request.recorder && shared_->server.kind != ServerKind::sglang) {
      return fail(ErrorKind::usage, "only SGLang has an expert distribution recorder", request.url,
                  "Leave --recorder out");
    }
    auto out = OutputFile::create(request.out);
    if (!out) return fail(out.error());
    shared_->out.emplace(std::move(*out));
    if (request.recorder) {
      if (auto started = call(*control, "/start_expert_distribution_record"); !started) return fail(started.error());
    }
    const auto sent = send_all();
    if (request.recorder && (sent || sent.error().kind != ErrorKind::cancelled)) {
      for (const char* path : {"/stop_expert_distribution_record", "/dump_expert_distribution_record"}) {
        if (auto called = call(*control, path); !called) return fail(called.error());
      }
      shared_->report.notes.emplace_back(
          "The recorder's dump lies on the server, in SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR (/tmp where that is not "
          "set); import it from there.");
    }
    if (!sent) return fail(sent.error());
    return finish();
  }

 private:
  Expected<std::shared_ptr<Connection>> connect() {
    auto opened = Connection::open(shared_->request.url, shared_->request.timeout_seconds);
    if (!opened) return fail(opened.error());
    return std::shared_ptr<Connection>(std::move(*opened));
  }

  Expected<void> call(const std::shared_ptr<Connection>& control, const char* path) {
    auto answer = watched<Expected<std::string>>(work_, control, [control, path] { return control->post(path, "{}"); });
    if (!answer) return stopped();
    return *answer ? Expected<void>{} : fail(answer->error());
  }

  Expected<void> send_all() {
    const std::size_t count = std::min(shared_->request.concurrency, shared_->request.prompts.size());
    for (std::size_t i = 0; i < count; ++i) {
      auto connection = connect();
      if (!connection) return fail(connection.error());
      shared_->connections.push_back(std::move(*connection));
    }
    shared_->running = count;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) {
      threads.emplace_back(
          [shared = shared_, connection = shared_->connections[i]] { work_through(shared, connection); });
    }
    std::unique_lock lock(shared_->mutex);
    while (shared_->running > 0 && !work_.cancelled()) {
      const std::size_t done = shared_->done, all = shared_->request.prompts.size();
      lock.unlock();
      work_.report(fmt::format("Prompt {} of {}", done, all), static_cast<double>(done) / static_cast<double>(all));
      lock.lock();
      shared_->changed.wait_for(lock, cancel_look, [&] { return shared_->running == 0 || shared_->done != done; });
    }
    const bool cancelled = shared_->running > 0;
    shared_->stopped = cancelled;
    lock.unlock();
    if (cancelled) {
      for (const auto& connection : shared_->connections) connection->stop();
      lock.lock();
      shared_->changed.wait_for(lock, farewell, [&] { return shared_->running == 0; });
      shared_->out.reset();  // removes the file
      lock.unlock();
    }
    // A thread that still waits for a connection to be made ends with it; it holds what it needs.
    for (std::thread& thread : threads) cancelled ? thread.detach() : thread.join();
    return cancelled ? stopped() : Expected<void>{};
  }

  Expected<ServingReport> finish() {
    ServingReport& report = shared_->report;
    if (shared_->fatal) return fail(*shared_->fatal);
    std::sort(report.failures.begin(), report.failures.end(),
              [](const auto& a, const auto& b) { return a.prompt < b.prompt; });
    if (report.kept == 0) {
      Error error = report.failures.front().error;
      error.what = fmt::format("all {} prompts failed; the first: {}", report.failures.size(), error.what);
      return fail(std::move(error));
    }
    if (auto written = shared_->out->commit(); !written) return fail(written.error());
    return std::move(report);
  }

  const WorkContext& work_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Expected<ServingReport> HttpServingClient::capture(const ServingRequest& request, const WorkContext& work) {
  try {
    return Capture(request, work).run();
  } catch (const std::exception& error) {
    return fail(ErrorKind::internal, fmt::format("the capture broke off: {}", error.what()), request.url,
                "Please report this defect");
  }
}

}  // namespace moescope::serving
