#include "plugins/serving_client/server_calls.h"

#include <fmt/format.h>
#include <httplib.h>

#include <cmath>
#include <cstdlib>

#include "core/io/json_text.h"

namespace moescope::serving {
namespace {

using Json = nlohmann::json;
constexpr int connect_seconds = 10;
constexpr std::size_t shown_words = 300;  // of what a server says about an error
constexpr const char* key_variable = "MOESCOPE_API_KEY";

std::string reason_of(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "no connection could be made";
    case httplib::Error::Read:
      return "the response was cut off, or did not come in time";
    case httplib::Error::Write:
      return "the request could not be sent";
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification:
      return "the secure connection was refused";
    case httplib::Error::ConnectionTimeout:
      return "the server did not answer in time";
    default:
      return "the request failed: " + httplib::to_string(error);
  }
}

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool has_routes(const Json& object) {
  if (member(object, "routed_experts") != nullptr || member(object, "prompt_routed_experts") != nullptr) return true;
  for (const char* inner : {"meta_info", "sgl_ext", "sglext"}) {
    const Json* const part = member(object, inner);
    if (part != nullptr && member(*part, "routed_experts") != nullptr) return true;
  }
  const Json* const choices = member(object, "choices");
  return choices != nullptr && choices->is_array() && std::any_of(choices->begin(), choices->end(), has_routes);
}

}  // namespace

struct Connection::Http {
  Http(std::string base, const std::string& address) : place(std::move(base)), client(address) {}
  std::string place;  // for errors
  httplib::Client client;
  std::atomic<bool> stopped{false};
};

Connection::Connection(std::unique_ptr<Http> http) : http_(std::move(http)) {}
Connection::~Connection() = default;

Expected<std::unique_ptr<Connection>> Connection::open(const std::string& url, double timeout_seconds) {
  std::string address = url;
  while (address.ends_with('/')) address.pop_back();
  const std::size_t scheme = address.find("://");
  const bool known = address.starts_with("http://") || address.starts_with("https://");
  // Credentials do not belong into an address, which is shown and kept.
  if (!known || address.size() <= scheme + 3 || address.find_first_of("/@?# ", scheme + 3) != std::string::npos) {
    return fail(ErrorKind::usage, "this is no address of a server", url.find('@') == std::string::npos ? url : "",
                fmt::format("Write http://HOST:PORT; a key comes from the environment variable {}", key_variable));
  }
  auto http = std::make_unique<Http>(address, address);
  if (!http->client.is_valid())
    return fail(ErrorKind::usage, "this is no address of a server", url, "Write http://HOST:PORT");
  const auto seconds = static_cast<time_t>(std::ceil(std::max(1.0, timeout_seconds)));
  http->client.set_connection_timeout(connect_seconds);
  http->client.set_read_timeout(seconds);
  http->client.set_write_timeout(seconds);
  http->client.set_keep_alive(true);
  if (const char* const key = std::getenv(key_variable); key != nullptr && *key != '\0')
    http->client.set_bearer_token_auth(key);
  return std::unique_ptr<Connection>(new Connection(std::move(http)));
}

Expected<std::string> Connection::send(const char* method, const std::string& path, const std::string& json) {
  const std::string where = http_->place + path;
  const auto stopped = [] { return fail(ErrorKind::cancelled, "the capture was stopped"); };
  if (http_->stopped) return stopped();
  httplib::Request request;
  request.method = method;
  request.path = path;
  if (!json.empty()) {
    request.body = json;
    request.set_header("Content-Type", "application/json");
  }
  std::string body;
  bool too_large = false;
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    too_large = size > response_limit - body.size();
    if (!too_large) body.append(data, size);
    return !too_large && !http_->stopped;
  };
  const httplib::Result result = http_->client.send(request);
  if (http_->stopped) return stopped();
  if (too_large) {
    return fail(ErrorKind::input, fmt::format("the response is larger than {} bytes", response_limit), where,
                "Ask for fewer new tokens");
  }
  if (!result) {
    return fail(ErrorKind::input, reason_of(result.error()), where, "Check that the server runs and is not overloaded");
  }
  if (result->status != 200) {
    return fail(ErrorKind::input,
                fmt::format("the server answered with status {}: {:.{}}", result->status, body, shown_words), where,
                result->status == 401 || result->status == 403
                    ? fmt::format("Put the server's key into the environment variable {}", key_variable)
                    : "See the server's log");
  }
  return body;
}

Expected<std::string> Connection::get(const std::string& path) {
  return send("GET", path, "");
}
Expected<std::string> Connection::post(const std::string& path, const std::string& json) {
  return send("POST", path, json);
}

void Connection::stop() {
  http_->stopped = true;
  http_->client.stop();
}

Expected<ServerIdentity> identify(Connection& connection, const ServingRequest& request) {
  ServerIdentity out;
  out.model = request.model;
  if (request.server == ServerKind::sglang) return out;
  if (request.server == ServerKind::automatic) {
    const auto info = connection.get("/get_model_info");
    if (info) return out;
    if (info.error().kind == ErrorKind::cancelled) return fail(info.error());
  }
  out.kind = ServerKind::vllm;
  if (!out.model.empty()) return out;
  const auto models = connection.get("/v1/models");
  if (!models) {
    Error error = models.error();
    if (request.server == ServerKind::automatic) error.advice = "Start SGLang or vLLM, or name it with --server";
    return fail(std::move(error));
  }
  const auto json = parse_json(*models, request.url + "/v1/models");
  const Json* const list = json ? member(*json, "data") : nullptr;
  const Json* const first =
      list != nullptr && list->is_array() && !list->empty() ? member(list->front(), "id") : nullptr;
  if (first == nullptr || !first->is_string()) {
    return fail(ErrorKind::input, "the server lists no model", request.url + "/v1/models",
                "Name it with --served-model");
  }
  out.model = first->get<std::string>();
  return out;
}

Expected<std::string> ask(Connection& connection, const ServerIdentity& server, const ServingRequest& request,
                          std::size_t prompt) {
  const ServingPrompt& from = request.prompts[prompt];
  const bool sglang = server.kind == ServerKind::sglang;
  Json body;
  if (sglang) {
    body = {{"text", from.text},
            {"sampling_params", {{"max_new_tokens", request.new_tokens}, {"temperature", 0}}},
            {"return_routed_experts", true}};
  } else {
    body = {{"model", server.model},
            {"prompt", from.text},
            {"max_tokens", request.new_tokens},
            {"temperature", 0},
            {"return_token_ids", true}};
  }
  const std::string path = sglang ? "/generate" : "/v1/completions";
  const std::string where = fmt::format("{}{}, prompt {}", request.url, path, prompt);
  auto answer = connection.post(path, body.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!answer) {
    Error error = answer.error();
    error.where = where;
    return fail(std::move(error));
  }
  auto json = parse_json(*answer, where);
  if (!json) return fail(json.error());
  if (json->is_array() && json->size() == 1) {
    const Json only = json->front();
    *json = only;
  }
  if (const Json* const error = member(*json, "error")) {
    return fail(ErrorKind::input,
                fmt::format("the server answered with an error: {:.{}}",
                            error->dump(-1, ' ', false, Json::error_handler_t::replace), shown_words),
                where, "See the server's log");
  }
  if (!json->is_object() || !has_routes(*json)) {
    return fail(ErrorKind::input, "the response has no routed experts", where,
                "Start the server with --enable-return-routed-experts");
  }
  (*json)["moescope"] = {{"prompt", prompt}, {"tags", from.tags}};
  return json->dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace moescope::serving
