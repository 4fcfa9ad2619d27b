#include "core/analysis/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace moescope {
namespace {

using Json = nlohmann::json;

template <typename T>
std::optional<T> parse(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The value in its type, or null when it has another.
Json converted(const std::string& type, const Json& value) {
  if (type == "int") {
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{1} << 62U) return nullptr;
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) {
      const double real = value.get<double>();
      return std::abs(real) < 1e15 && real == std::floor(real) ? Json(static_cast<std::int64_t>(real)) : Json(nullptr);
    }
    if (!value.is_string()) return nullptr;
    const auto parsed = parse<std::int64_t>(value.get<std::string>());
    return parsed ? Json(*parsed) : Json(nullptr);
  }
  if (type == "number") {
    const auto real = value.is_string()   ? parse<double>(value.get<std::string>())
                      : value.is_number() ? std::optional<double>(value.get<double>())
                                          : std::nullopt;
    return real && std::isfinite(*real) ? Json(*real) : Json(nullptr);
  }
  if (type == "bool") {
    if (value.is_boolean()) return value;
    if (value == "true" || value == "1") return true;
    if (value == "false" || value == "0") return false;
    return nullptr;
  }
  return value.is_string() ? value : Json(nullptr);
}

std::string expectation(const ParameterSpec& spec) {
  if (!spec.choices.empty()) return fmt::format("one of {}", fmt::join(spec.choices, ", "));
  std::string text = spec.type == "int" ? "a whole number" : spec.type == "bool" ? "true or false" : "a " + spec.type;
  if (spec.minimum) text += fmt::format(" of at least {}", *spec.minimum);
  if (spec.maximum) text += fmt::format("{} at most {}", spec.minimum ? " and" : " of", *spec.maximum);
  return text;
}

std::string shell_word(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./=+,:@%").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

Expected<Json> checked_parameters(const AnalysisSpec& spec, const Json& given) {
  if (!given.is_null() && !given.is_object()) {
    return fail(ErrorKind::usage, "parameters must be an object of names and values", spec.name);
  }
  Json params = Json::object();
  std::vector<std::string> names;
  for (const auto& parameter : spec.parameters) {
    params[parameter.name] = parameter.default_value;
    names.push_back(parameter.name);
  }
  if (given.is_null()) return params;
  for (const auto& [name, value] : given.items()) {
    const auto found = std::find_if(spec.parameters.begin(), spec.parameters.end(),
                                    [&name = name](const auto& parameter) { return parameter.name == name; });
    if (found == spec.parameters.end()) {
      return fail(ErrorKind::usage, fmt::format("{} has no parameter \"{}\"", spec.name, name), "",
                  names.empty() ? "It has none" : fmt::format("It has {}", fmt::join(names, ", ")));
    }
    const Json checked = converted(found->type, value);
    bool fits = !checked.is_null();
    if (fits && !found->choices.empty()) {
      fits =
          std::find(found->choices.begin(), found->choices.end(), checked.get<std::string>()) != found->choices.end();
    }
    if (fits && checked.is_number()) {
      const double real = checked.get<double>();
      fits = !(found->minimum && real < *found->minimum) && !(found->maximum && real > *found->maximum);
    }
    if (!fits) {
      return fail(
          ErrorKind::usage,
          fmt::format("{} is not a value of {}", value.dump(-1, ' ', false, Json::error_handler_t::replace), name),
          spec.name, fmt::format("Give {}", expectation(*found)));
    }
    params[name] = checked;
  }
  return params;
}

std::string analysis_command_line(const AnalysisSpec& spec, const Json& params, const std::string& input,
                                  const std::string& filter) {
  std::string line = fmt::format("moescope-cli analyze {} --analysis {}", shell_word(input), spec.name);
  for (const auto& parameter : spec.parameters) {
    const Json& value = params.at(parameter.name);
    if (value == parameter.default_value) continue;
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    line += " --param " + shell_word(parameter.name + "=" + text);
  }
  if (!filter.empty()) line += " --tokens " + shell_word(filter);
  return line + " --out " + spec.name + ".json";
}

}  // namespace moescope
