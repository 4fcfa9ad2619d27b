#include <httplib.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/io/npy.h"
#include "tests/core/io/base64_text.h"
#include "tests/plugins/serving_client/replay_server.h"

namespace moescope::fixtures {
namespace {

using Json = nlohmann::json;
constexpr int new_tokens = 4;

}  // namespace

std::vector<int> replayed_routes(const std::string& prompt) {
  std::vector<int> out;
  for (int t = 0; t < static_cast<int>(prompt.size()) + new_tokens - 1; ++t) {
    out.insert(out.end(), {0, 0, t % 8, (t + 3) % 8});
  }
  return out;
}

struct ReplayServer::State {
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::atomic<bool> over{false};
  std::atomic<int> now{0}, most{0};
  mutable std::mutex mutex;
  std::vector<std::string> paths;
  std::string authorization;

  void note(const httplib::Request& request) {
    const std::lock_guard lock(mutex);
    paths.push_back(request.path);
    authorization = request.get_header_value("Authorization");
  }

  // True when the prompt asked for misbehaviour and got it.
  bool misbehave(const std::string& prompt, const std::string& good, httplib::Response& response) {
    if (prompt.find("fail") != std::string::npos) {
      response.status = 500;
      response.set_content("the scheduler is gone", "text/plain");
    } else if (prompt.find("error") != std::string::npos) {
      response.set_content("{\"error\":{\"message\":\"overloaded\"}}", "application/json");
    } else if (prompt.find("none") != std::string::npos) {
      response.set_content("{\"text\":\"x\",\"meta_info\":{}}", "application/json");
    } else if (prompt.find("text") != std::string::npos) {
      response.set_content("<html>proxy</html>", "text/html");
    } else if (prompt.find("hang") != std::string::npos) {
      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    } else if (prompt.find("cut") != std::string::npos) {
      // Says a length and ends before it.
      response.set_content_provider(good.size(), "application/json",
                                    [good](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                      if (offset >= good.size() / 2) return false;
                                      sink.write(good.data() + offset, good.size() / 2 - offset);
                                      return true;
                                    });
    } else {
      return false;
    }
    return true;
  }

  void answer(const std::string& prompt, const std::string& good, httplib::Response& response) {
    const int at_once = ++now;
    int seen = most;
    while (seen < at_once && !most.compare_exchange_weak(seen, at_once)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (!misbehave(prompt, good, response)) response.set_content(good, "application/json");
    --now;
  }
};

ReplayServer::ReplayServer(Replay kind) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.server.new_task_queue = [] { return new httplib::ThreadPool(16); };
  const auto count_of = [](const std::string& prompt, bool wrong) {
    std::vector<int> routes = replayed_routes(prompt);
    if (wrong) routes.resize(routes.size() - 3);
    return std::vector<std::int32_t>(routes.begin(), routes.end());
  };
  if (kind == Replay::sglang) {
    s.server.Get("/get_model_info", [&s](const httplib::Request& q, httplib::Response& r) {
      s.note(q);
      r.set_content("{\"model_path\":\"toy\"}", "application/json");
    });
    s.server.Post("/generate", [&s, count_of](const httplib::Request& q, httplib::Response& r) {
      const Json body = Json::parse(q.body);
      const std::string prompt = body["text"];
      const auto routes = count_of(prompt, prompt.find("shape") != std::string::npos);
      std::string raw(routes.size() * 4, '\0');
      std::memcpy(raw.data(), routes.data(), raw.size());
      const Json answer = {{"text", "abcd"},
                           {"output_ids", {1, 2, 3, 4}},
                           {"meta_info",
                            {{"prompt_tokens", prompt.size()},
                             {"completion_tokens", new_tokens},
                             {"routed_experts", base64_text(raw)}}}};
      s.answer(prompt, answer.dump(), r);
    });
    for (const char* path : {"/start_expert_distribution_record", "/stop_expert_distribution_record",
                             "/dump_expert_distribution_record"}) {
      s.server.Post(path, [&s](const httplib::Request& q, httplib::Response& r) {
        s.note(q);
        r.set_content("", "text/plain");
      });
    }
  } else {
    s.server.Get("/v1/models", [&s](const httplib::Request& q, httplib::Response& r) {
      s.note(q);
      r.set_content("{\"data\":[{\"id\":\"toy\"}]}", "application/json");
    });
    s.server.Post("/v1/completions", [&s, count_of](const httplib::Request& q, httplib::Response& r) {
      const Json body = Json::parse(q.body);
      const std::string prompt = body["prompt"];
      const auto routes = count_of(prompt, false);
      const std::vector<std::uint64_t> shape{routes.size() / 4, 2, 2};
      std::string npy = npy_header(DType::i32, shape);
      npy.append(reinterpret_cast<const char*>(routes.data()), routes.size() * 4);
      std::vector<int> ids(prompt.begin(), prompt.end());
      const Json answer = {{"model", body["model"]},
                           {"choices",
                            {{{"text", "abcd"},
                              {"prompt_token_ids", ids},
                              {"token_ids", {1, 2, 3, 4}},
                              {"routed_experts", base64_text(npy)}}}}};
      s.answer(prompt, answer.dump(), r);
    });
  }
  s.port = s.server.bind_to_any_port("127.0.0.1");
  s.thread = std::thread([&s] { s.server.listen_after_bind(); });
  while (!s.server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

ReplayServer::~ReplayServer() {
  state_->over = true;
  state_->server.stop();
  state_->thread.join();
}

std::string ReplayServer::url() const {
  return "http://127.0.0.1:" + std::to_string(state_->port);
}
std::vector<std::string> ReplayServer::paths() const {
  const std::lock_guard lock(state_->mutex);
  return state_->paths;
}
std::string ReplayServer::authorization() const {
  const std::lock_guard lock(state_->mutex);
  return state_->authorization;
}
int ReplayServer::most_at_once() const {
  return state_->most;
}

}  // namespace moescope::fixtures
