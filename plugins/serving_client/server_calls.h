// One HTTP connection to a server, and what SGLang and vLLM are asked for. stop() may be called from any thread; the
// rest from one at a time.
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/error.h"
#include "core/engine/serving.h"

namespace moescope::serving {

inline constexpr std::size_t response_limit = std::size_t{1} << 30U;  // bytes of one response

class Connection {
 public:
  // Errors (usage): not http://host[:port] or https://.
  [[nodiscard]] static Expected<std::unique_ptr<Connection>> open(const std::string& url, double timeout_seconds);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The body of a response of status 200. Errors (input): no answer, cut off, another status with the server's words,
  // larger than response_limit; cancelled after stop().
  [[nodiscard]] Expected<std::string> get(const std::string& path);
  [[nodiscard]] Expected<std::string> post(const std::string& path, const std::string& json);
  // Breaks off what is under way; nothing more is sent.
  void stop();

 private:
  struct Http;
  explicit Connection(std::unique_ptr<Http> http);
  [[nodiscard]] Expected<std::string> send(const char* method, const std::string& path, const std::string& json);
  std::unique_ptr<Http> http_;
};

// Which server this is, and the name of the model it serves. Error (input): neither of the two.
struct ServerIdentity {
  ServerKind kind = ServerKind::sglang;
  std::string model;
};
[[nodiscard]] Expected<ServerIdentity> identify(Connection& connection, const ServingRequest& request);

// Sends a prompt; the line of JSON to keep, with the prompt's number and tags. Errors (input): those of post(), a
// response that is no JSON, an error of the server, a response without routed experts.
[[nodiscard]] Expected<std::string> ask(Connection& connection, const ServerIdentity& server,
                                        const ServingRequest& request, std::size_t prompt);

}  // namespace moescope::serving
