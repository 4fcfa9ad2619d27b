// ServingClient: records the routing of a model that SGLang or vLLM already serves, possibly on many machines. Prompts
// are sent to the server, its responses are kept as JSON lines, and the importer of responses makes a trace of them.
// Implemented by the module serving_client; called by the command line. One capture at a time per client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"

namespace moescope {

struct ServingPrompt {
  std::string text;
  std::map<std::string, std::string> tags;  // of all its tokens, "domain" -> "code"
};

enum class ServerKind : std::uint8_t { automatic, sglang, vllm };

struct ServingRequest {
  std::string url;  // "http://host:30000"; https too. A key comes from MOESCOPE_API_KEY and is never stored
  ServerKind server = ServerKind::automatic;
  std::string model;  // the name vLLM serves it under; empty = the first it lists
  std::vector<ServingPrompt> prompts;
  std::size_t concurrency = 8;
  std::size_t new_tokens = 16;   // generated for each prompt
  double timeout_seconds = 600;  // of one response
  std::string out;               // JSON lines of responses to write
  // Also run SGLang's expert distribution recorder around the prompts: start, stop, dump. Its dump stays on the server.
  bool recorder = false;
};

struct ServingFailure {
  std::size_t prompt = 0;  // index
  Error error;
};

struct ServingReport {
  std::string server;  // "SGLang", "vLLM"
  std::size_t kept = 0;
  std::vector<ServingFailure> failures;  // by prompt
  std::vector<std::string> notes;
};

class ServingClient {
 public:
  virtual ~ServingClient() = default;
  // Sends every prompt; one that fails does not stop the others. Stops within 200 ms of a cancel and then leaves no
  // file. Errors: usage (no prompts, a bad URL), input (no such server, every prompt failed, the disk is full),
  // cancelled.
  [[nodiscard]] virtual Expected<ServingReport> capture(const ServingRequest& request, const WorkContext& work) = 0;
};

// Prompts from JSON lines {"text": …}; other texts, numbers and truth values become tags. Errors (input) name the line.
[[nodiscard]] MOESCOPE_API Expected<std::vector<ServingPrompt>> serving_prompts_from_jsonl(std::string_view lines,
                                                                                           const std::string& where);

// Loads the module into this process. Error (module) says where it was looked for and how to get it.
[[nodiscard]] MOESCOPE_API Expected<std::shared_ptr<ServingClient>> load_serving_client();

}  // namespace moescope
