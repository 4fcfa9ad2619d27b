#include "core/workbench/model_join.h"

#include <fmt/format.h>

#include <system_error>

#include "core/model/tokenizer.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t count_limit = 65'535;

Expected<void> join_tokenizer(const fs::path& file, ImportOptions& options) {
  auto tokenizer = load_tokenizer(file);
  if (!tokenizer) return fail(tokenizer.error());
  options.token_bytes = [tokenizer = std::move(*tokenizer)](std::int32_t id) { return tokenizer->token_bytes(id); };
  return {};
}

}  // namespace

Expected<void> join_model(const fs::path& model, ImportOptions& options) {
  std::error_code ignored;
  const bool folder = fs::is_directory(model, ignored);
  if (!folder && model.filename() == "tokenizer.json") return join_tokenizer(model, options);
  const fs::path home = folder ? model : model.parent_path();
  const bool config = !folder || fs::exists(model / "config.json", ignored);
  const bool tokens = fs::exists(home / "tokenizer.json", ignored);
  if (!config && !tokens) {
    return fail(ErrorKind::input, "there is neither a config.json nor a tokenizer.json in the folder", model.string(),
                "Give the folder of the model that the trace was recorded on");
  }
  if (config) {
    auto facts = read_model_facts(model);
    if (!facts) return fail(facts.error());
    options.model = std::move(*facts);
  }
  return tokens ? join_tokenizer(home / "tokenizer.json", options) : Expected<void>{};
}

Expected<ImportOptions> import_options_from_json(const nlohmann::json& json) {
  ImportOptions out;
  const auto value = [&](const char* name) -> const nlohmann::json* {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return !json.is_object() || found == json.end() || found->is_null() ? nullptr : &*found;
  };
  for (const auto& [name, to] :
       {std::pair("top_k", &out.k), std::pair("experts", &out.experts), std::pair("layers", &out.layers)}) {
    const nlohmann::json* const number = value(name);
    if (number == nullptr) continue;
    if (!number->is_number_integer() || *number < 1 || *number > count_limit) {
      return fail(ErrorKind::usage, fmt::format("'{}' is not a whole number from 1 to {}", name, count_limit));
    }
    *to = number->get<std::uint32_t>();
  }
  if (const nlohmann::json* const format = value("format")) {
    if (!format->is_string()) return fail(ErrorKind::usage, "'format' is not the name of a format");
    out.format = format->get<std::string>();
  }
  if (const nlohmann::json* const model = value("model")) {
    if (!model->is_string()) return fail(ErrorKind::usage, "'model' is not a path");
    if (auto joined = join_model(model->get<std::string>(), out); !joined) return fail(joined.error());
  }
  return out;
}

}  // namespace moescope
