// A small HTTP server on this machine that answers as SGLang or vLLM document it, and misbehaves where a prompt asks
// for it: "fail" (status 500), "error" (200 with an error), "cut" (the body ends early), "hang" (no answer until the
// server stops), "shape" (routed experts that are no whole tokens), "none" (no routed experts), "text" (no JSON).
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace moescope::fixtures {

enum class Replay { sglang, vllm };

class ReplayServer {
 public:
  explicit ReplayServer(Replay kind);
  ~ReplayServer();
  ReplayServer(const ReplayServer&) = delete;
  ReplayServer& operator=(const ReplayServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::vector<std::string> paths() const;  // asked for, in order, /generate and the like left out
  [[nodiscard]] std::string authorization() const;       // of the last request
  [[nodiscard]] int most_at_once() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What the server routes a prompt of n characters to: n + 3 rows of 2 layers (the first dense) and 2 experts of 8.
std::vector<int> replayed_routes(const std::string& prompt);

}  // namespace moescope::fixtures
