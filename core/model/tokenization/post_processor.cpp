#include "core/model/tokenization/post_processor.h"

#include <fmt/format.h>

#include "core/model/tokenization/json_access.h"

namespace moescope::tokenization {
namespace {

Unexpected bad_template(const std::string& why) {
  return fail(ErrorKind::input, why, "post_processor", "Take tokenizer.json from the model's own folder again");
}

Expected<void> add_template(const nlohmann::json& json, PostProcessor& out) {
  const nlohmann::json* single = member(json, "single");
  const nlohmann::json* specials = member(json, "special_tokens");
  if (!single || !single->is_array()) return bad_template("a TemplateProcessing has no list \"single\"");
  int texts = 0;
  for (const nlohmann::json& piece : *single) {
    if (member(piece, "Sequence")) {
      ++texts;
      continue;
    }
    const nlohmann::json* special = member(piece, "SpecialToken");
    const std::string name = special ? text_or(*special, "id") : std::string();
    const nlohmann::json* entry = specials ? member(*specials, name.c_str()) : nullptr;
    const nlohmann::json* ids = entry ? member(*entry, "ids") : nullptr;
    if (!ids || !ids->is_array()) {
      return bad_template(fmt::format("a TemplateProcessing uses \"{}\", which its special_tokens lack", name));
    }
    for (const nlohmann::json& value : *ids) {
      const auto id = as_id(value);
      if (!id) return bad_template(fmt::format("an id of \"{}\" is out of range", name));
      (texts == 0 ? out.before : out.after).push_back(*id);
    }
  }
  if (texts != 1) return bad_template(fmt::format("a TemplateProcessing holds the text {} times", texts));
  return {};
}

// Bert and Roberta: [begin] text [end], written as ["token", id].
Expected<void> add_pair(const nlohmann::json& json, PostProcessor& out) {
  for (const char* key : {"cls", "sep"}) {
    const nlohmann::json* entry = member(json, key);
    const auto id = entry && entry->is_array() && entry->size() == 2 ? as_id((*entry)[1]) : std::nullopt;
    if (!id) return bad_template(fmt::format("\"{}\" is not a pair of token and id", key));
    (key[0] == 'c' ? out.before : out.after).push_back(*id);
  }
  return {};
}

Expected<void> add(const nlohmann::json& json, int depth, PostProcessor& out) {
  if (json.is_null()) return {};
  if (depth > max_nesting) return fail(ErrorKind::input, "post-processors nest too deeply", "post_processor");
  const std::string type = text_or(json, "type");
  if (type == "ByteLevel") return {};  // trims offsets only
  if (type == "TemplateProcessing") return add_template(json, out);
  if (type == "BertProcessing" || type == "RobertaProcessing") return add_pair(json, out);
  if (type != "Sequence") {
    return fail(ErrorKind::input, fmt::format("the post-processor \"{}\" is not supported", type), "post_processor",
                "Supported: ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing, Sequence");
  }
  const nlohmann::json* parts = member(json, "processors");
  if (!parts || !parts->is_array()) return bad_template("a post-processor Sequence has no list");
  for (const nlohmann::json& part : *parts) {
    if (auto ok = add(part, depth + 1, out); !ok) return ok;
  }
  return {};
}

}  // namespace

Expected<PostProcessor> read_post_processor(const nlohmann::json& json) {
  PostProcessor out;
  if (auto ok = add(json, 0, out); !ok) return fail(std::move(ok.error()));
  return out;
}

}  // namespace moescope::tokenization
