#include "core/trace/trace_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/io/json_text.h"

namespace moescope {
namespace {

using Json = nlohmann::json;

// What `requires` may name: the tensors of version 1 whose meaning this reader knows.
constexpr std::array<std::string_view, 28> understood{"expert_ids",
                                                      "used",
                                                      "gate_weights",
                                                      "router_logits",
                                                      "selection_scores",
                                                      "expert_counts",
                                                      "physical_to_logical",
                                                      "output_logits",
                                                      "token_ids",
                                                      "sequence_ids",
                                                      "positions",
                                                      "phases",
                                                      "steps",
                                                      "ranks",
                                                      "epochs",
                                                      "streams",
                                                      "text",
                                                      "text_spans",
                                                      "vocab.ids",
                                                      "vocab.offsets",
                                                      "vocab.bytes",
                                                      "slot.dropped",
                                                      "slot.residency",
                                                      "slot.output_norm",
                                                      "row.margin",
                                                      "token.loss",
                                                      "tags",
                                                      "vocab"};

bool is_understood(const std::string& name) {
  return name.starts_with("tags.") || std::find(understood.begin(), understood.end(), name) != understood.end();
}

// Reads fields of one JSON object and remembers the first that is of the wrong type.
class Fields {
 public:
  Fields(const Json& object, std::string path, std::string& problem)
      : object_(object), path_(std::move(path)), problem_(problem) {
    if (!object.is_object()) complain("", "an object");
  }

  std::string text(const char* name) { return found(name) ? text_of(*field_, name) : std::string{}; }
  std::string text_or(const char* name, const char* fallback) {
    return found(name) ? text_of(*field_, name) : fallback;
  }
  bool boolean_or(const char* name, bool fallback) {
    if (!found(name)) return fallback;
    if (!field_->is_boolean()) complain(name, "true or false");
    return field_->is_boolean() ? field_->get<bool>() : fallback;
  }
  std::int64_t integer_or(const char* name, std::int64_t fallback, std::int64_t low, std::int64_t high) {
    if (!found(name)) return fallback;
    // As a double too: Python writes 1.0 for a number that went through numpy.
    const double value = field_->is_number() ? field_->get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (value >= static_cast<double>(low) && value <= static_cast<double>(high) &&
        value == static_cast<double>(static_cast<std::int64_t>(value))) {
      return static_cast<std::int64_t>(value);
    }
    complain(name, fmt::format("a whole number from {} to {}", low, high).c_str());
    return fallback;
  }
  std::vector<std::string> texts(const char* name) {
    return found(name) ? texts_of(*field_, name) : std::vector<std::string>{};
  }
  // The field if it is there and not null.
  const Json* get(const char* name) { return found(name) ? field_ : nullptr; }

  std::vector<std::string> texts_of(const Json& value, const std::string& name) {
    std::vector<std::string> out;
    if (!value.is_array()) complain(name, "a list of strings");
    if (value.is_array()) {
      for (const Json& item : value) out.push_back(text_of(item, name));
    }
    return out;
  }

 private:
  bool found(const char* name) {
    if (!object_.is_object()) return false;
    const auto at = object_.find(name);
    if (at == object_.end() || at->is_null()) return false;
    field_ = &*at;
    return true;
  }
  std::string text_of(const Json& value, const std::string& name) {
    if (value.is_string()) return value.get<std::string>();
    complain(name, "a string");
    return {};
  }
  void complain(const std::string& name, const char* expected) {
    if (!problem_.empty()) return;
    problem_ = fmt::format("'{}{}{}' is not {}", path_, path_.empty() || name.empty() ? "" : ".", name, expected);
  }

  const Json& object_;
  std::string path_;
  std::string& problem_;
  const Json* field_ = nullptr;
};

RouterRow read_row(const Json& json, std::size_t index, std::string& problem) {
  Fields fields(json, fmt::format("rows[{}]", index), problem);
  constexpr std::int64_t many = std::numeric_limits<std::int32_t>::max();
  RouterRow row;
  row.layer = static_cast<int>(fields.integer_or("layer", static_cast<std::int64_t>(index), 0, many));
  row.block = fields.text_or("block", "decoder");
  row.site = fields.text_or("site", "mlp");
  row.stream = fields.text("stream");
  row.experts = static_cast<std::uint32_t>(fields.integer_or("experts", 0, 0, trace_expert_limit));
  row.k = static_cast<std::uint32_t>(fields.integer_or("k", 0, 0, trace_expert_limit));
  row.shared = static_cast<std::uint32_t>(fields.integer_or("shared", 0, 0, trace_expert_limit));
  row.null_experts = static_cast<std::uint32_t>(fields.integer_or("null_experts", 0, 0, row.experts));
  row.rule = fields.text("rule");
  if (row.experts == 0 && problem.empty()) problem = fmt::format("'rows[{}].experts' is missing or zero", index);
  return row;
}

void read_tags(const Json& json, Fields& fields, TraceInfo& info, std::string& problem) {
  if (!json.is_object()) {
    if (problem.empty()) problem = "'tags' is not an object";
    return;
  }
  for (const auto& [tag, names] : json.items()) info.tag_names[tag] = fields.texts_of(names, "tags." + tag);
}

// The fields that have a meaning here, which is what is not carried along as unknown.
constexpr std::array<std::string_view, 13> known_fields{
    "version", "rows",   "id_space", "rank_order", "selection",   "weight_kind", "compute_type",
    "model",   "source", "tags",     "streams",    "approximate", "notes"};
constexpr std::array<std::string_view, 3> known_model_fields{"name", "family", "config_hash"};
constexpr std::array<std::string_view, 4> known_source_fields{"tool", "file", "hash", "notes"};
constexpr std::array<std::string_view, 9> known_row_fields{"layer", "block",  "site",         "stream", "experts",
                                                           "k",     "shared", "null_experts", "rule"};

template <std::size_t count>
Json without(const Json& object, const std::array<std::string_view, count>& known) {
  Json left = Json::object();
  if (!object.is_object()) return left;
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) left[name] = value;
  }
  return left;
}

std::string unknown_fields_of(const Json& json) {
  Json left = without(json, known_fields);
  const auto inside = [&](const char* name, const auto& known) {
    const auto found = json.find(name);
    if (found == json.end()) return;
    if (Json inner = without(*found, known); !inner.empty()) left[name] = std::move(inner);
  };
  inside("model", known_model_fields);
  inside("source", known_source_fields);
  if (const auto rows = json.find("rows"); rows != json.end() && rows->is_array()) {
    Json inner = Json::array();
    bool any = false;
    for (const Json& row : *rows) {
      inner.push_back(without(row, known_row_fields));
      any = any || !inner.back().empty();
    }
    if (any) left["rows"] = std::move(inner);
  }
  return left.empty() ? std::string() : left.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Puts what was not understood back where it was. A known field always wins; rows go by their number.
void put_back(const std::string& unknown_fields, Json& out) {
  if (unknown_fields.empty()) return;
  const auto parsed = parse_json(unknown_fields, "unknown fields");
  if (!parsed || !parsed->is_object()) return;
  const auto merge = [](const Json& from, Json& to) {
    for (const auto& [name, value] : from.items()) {
      if (!to.contains(name)) to[name] = value;
    }
  };
  for (const auto& [name, value] : parsed->items()) {
    if (name == "rows" && value.is_array()) {
      for (std::size_t i = 0; i < std::min(value.size(), out["rows"].size()); ++i) merge(value[i], out["rows"][i]);
    } else if (out.contains(name) && out[name].is_object() && value.is_object()) {
      merge(value, out[name]);
    } else if (!out.contains(name)) {
      out[name] = value;
    }
  }
}

}  // namespace

std::string trace_metadata_text(const TraceInfo& info) {
  Json rows = Json::array();
  for (const RouterRow& row : info.rows) {
    Json item = {{"layer", row.layer}, {"block", row.block}, {"site", row.site}, {"experts", row.experts}};
    if (!row.stream.empty()) item["stream"] = row.stream;
    if (row.k != 0) item["k"] = row.k;
    if (row.shared != 0) item["shared"] = row.shared;
    if (row.null_experts != 0) item["null_experts"] = row.null_experts;
    if (!row.rule.empty()) item["rule"] = row.rule;
    rows.push_back(std::move(item));
  }
  Json out = {{"version", trace_format_version},
              {"rows", std::move(rows)},
              {"id_space", info.physical_ids ? "physical" : "logical"},
              {"rank_order", info.rank_order},
              {"selection", info.expert_choice ? "expert" : "token"}};
  const auto put = [](Json& to, const char* name, const std::string& value) {
    if (!value.empty()) to[name] = value;
  };
  put(out, "weight_kind", info.weight_kind);
  put(out, "compute_type", info.compute_type);
  Json model = Json::object();
  put(model, "name", info.model_name);
  put(model, "family", info.model_family);
  put(model, "config_hash", info.config_hash);
  if (!model.empty()) out["model"] = std::move(model);
  Json source = Json::object();
  put(source, "tool", info.source_tool);
  put(source, "file", info.source_file);
  put(source, "hash", info.source_hash);
  put(source, "notes", info.source_notes);
  if (!source.empty()) out["source"] = std::move(source);
  if (!info.tag_names.empty()) out["tags"] = info.tag_names;
  if (!info.stream_names.empty()) out["streams"] = info.stream_names;
  if (info.approximate) out["approximate"] = *info.approximate;
  if (!info.notes.empty()) out["notes"] = info.notes;
  put_back(info.unknown_fields, out);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Expected<TraceInfo> parse_trace_metadata(const std::string& text, const std::string& file) {
  const std::string where = file + ", metadata 'moescope'";
  const auto json = parse_json(text, where);
  if (!json) return fail(json.error());
  constexpr const char* correct = "Correct the metadata; the help page on trace files lists its fields";
  std::string problem;
  Fields fields(*json, "", problem);
  const std::int64_t version = fields.integer_or("version", 0, 0, std::numeric_limits<std::int32_t>::max());
  if (version > trace_format_version) {
    return fail(
        ErrorKind::input,
        fmt::format("the trace has format version {}, this program reads version {}", version, trace_format_version),
        where, "Use a newer MoEScope, or write the trace in version 1");
  }
  if (problem.empty() && version < 1) problem = "'version' is missing or zero";
  for (const std::string& name : fields.texts("requires")) {
    if (!is_understood(name)) {
      return fail(ErrorKind::input, fmt::format("the trace requires '{}', which this program does not know", name),
                  where, "Use a newer MoEScope");
    }
  }
  TraceInfo info;
  const Json* const rows = fields.get("rows");
  if (rows == nullptr || !rows->is_array()) {
    if (problem.empty()) problem = "'rows' is missing or not a list";
  } else if (rows->size() > trace_row_limit) {
    if (problem.empty()) problem = fmt::format("'rows' has more than {} entries", trace_row_limit);
  } else {
    for (std::size_t i = 0; i < rows->size(); ++i) info.rows.push_back(read_row((*rows)[i], i, problem));
  }
  const auto choose = [&](const char* name, const char* usual, const char* other) {
    const std::string value = fields.text_or(name, usual);
    if (value != usual && value != other && problem.empty()) {
      problem = fmt::format("'{}' is neither '{}' nor '{}'", name, usual, other);
    }
    return value == other;
  };
  info.physical_ids = choose("id_space", "logical", "physical");
  info.expert_choice = choose("selection", "token", "expert");
  info.rank_order = fields.boolean_or("rank_order", true);
  info.weight_kind = fields.text("weight_kind");
  info.compute_type = fields.text("compute_type");
  if (const Json* const model = fields.get("model")) {
    Fields of(*model, "model", problem);
    info.model_name = of.text("name");
    info.model_family = of.text("family");
    info.config_hash = of.text("config_hash");
  }
  if (const Json* const source = fields.get("source")) {
    Fields of(*source, "source", problem);
    info.source_tool = of.text("tool");
    info.source_file = of.text("file");
    info.source_hash = of.text("hash");
    info.source_notes = of.text("notes");
  }
  if (const Json* const tags = fields.get("tags")) read_tags(*tags, fields, info, problem);
  info.stream_names = fields.texts("streams");
  info.notes = fields.texts("notes");
  if (fields.get("approximate") != nullptr) info.approximate = fields.text("approximate");
  if (!problem.empty()) return fail(ErrorKind::input, "the trace's metadata is wrong: " + problem, where, correct);
  info.unknown_fields = unknown_fields_of(*json);
  return info;
}

}  // namespace moescope
