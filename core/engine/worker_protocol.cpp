#include "core/engine/worker_protocol.h"

namespace moescope {

using nlohmann::json;

json error_to_json(const Error& error) {
  return {
      {"kind", error_kind_name(error.kind)}, {"what", error.what}, {"where", error.where}, {"advice", error.advice}};
}

Error error_from_json(const json& j) {
  try {
    return Error{error_kind_from_name(j.at("kind").get<std::string>()), j.at("what").get<std::string>(),
                 j.value("where", ""), j.value("advice", "")};
  } catch (const std::exception&) {
    return Error{ErrorKind::module, "the engine worker reported an error that does not parse", {}, {}};
  }
}

json engine_info_to_json(const EngineInfo& info) {
  return {{"name", info.name}, {"devices", info.devices}, {"device", info.device}};
}

Expected<EngineInfo> engine_info_from_json(const json& j) {
  try {
    return EngineInfo{j.at("name").get<std::string>(), j.at("devices").get<std::vector<std::string>>(),
                      j.at("device").get<std::string>()};
  } catch (const std::exception& e) {
    return fail(ErrorKind::module, std::string("the engine worker's description does not parse: ") + e.what());
  }
}

std::optional<json> parse_line(const std::string& line) {
  json parsed = json::parse(line, nullptr, false);
  return parsed.is_object() ? std::optional<json>(std::move(parsed)) : std::nullopt;
}

std::string to_line(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace moescope
