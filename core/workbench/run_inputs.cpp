#include "core/workbench/run_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/io/json_text.h"

namespace moescope {
namespace {

Expected<const Tokenizer*> tokenizer_of(const Checkpoint& checkpoint) {
  if (const Tokenizer* tokenizer = checkpoint.tokenizer()) return tokenizer;
  if (checkpoint.tokenizer_error()) return fail(*checkpoint.tokenizer_error());
  return fail(ErrorKind::input, "the checkpoint has no tokenizer", checkpoint.folder().string(),
              "Put its tokenizer.json into the folder, or give token ids");
}

std::size_t sequence_limit(const Checkpoint& checkpoint, std::size_t longest) {
  std::size_t limit = longest > 0 ? longest : default_sequence_tokens;
  if (checkpoint.spec().max_positions > 0) limit = std::min<std::size_t>(limit, checkpoint.spec().max_positions);
  return std::max<std::size_t>(limit, 1);
}

// Tokens [first, last) of a text as a sequence with its own piece of the text. Tokens that a template added have the
// span (0, 0) and keep it.
SequenceInput cut(const Encoding& encoding, std::string_view text, std::size_t first, std::size_t last) {
  SequenceInput sequence;
  std::uint64_t begin = text.size(), end = 0;
  for (std::size_t i = first; i < last; ++i) {
    const auto [from, to] = encoding.bytes[i];
    if (from == to) continue;
    begin = std::min(begin, from);
    end = std::max(end, to);
  }
  if (end > begin) sequence.text = text.substr(begin, end - begin);
  for (std::size_t i = first; i < last; ++i) {
    const auto [from, to] = encoding.bytes[i];
    sequence.ids.push_back(encoding.ids[i]);
    sequence.spans.emplace_back(from == to ? 0 : from - begin, from == to ? 0 : to - begin);
  }
  return sequence;
}

// Sequences of a list of token ids, cut like texts are.
Expected<std::vector<SequenceInput>> sequences_from_id_list(const Checkpoint& checkpoint, const nlohmann::json& ids,
                                                            const std::string& place, std::size_t longest) {
  const std::size_t limit = sequence_limit(checkpoint, longest);
  std::vector<SequenceInput> out;
  for (const nlohmann::json& id : ids) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= checkpoint.spec().vocabulary) {
      return fail(ErrorKind::input, fmt::format("{} is no token id of this model", id.dump()), place,
                  fmt::format("Token ids are whole numbers below {}", checkpoint.spec().vocabulary));
    }
    if (out.empty() || out.back().ids.size() == limit) out.emplace_back();
    out.back().ids.push_back(id.get<std::int32_t>());
  }
  return out;
}

// A line {"text": …} or {"ids": […]}; an empty one gives nothing.
Expected<std::vector<SequenceInput>> sequences_of_line(const Checkpoint& checkpoint, const nlohmann::json& line,
                                                       const std::string& place, std::size_t longest) {
  const auto text = line.is_object() ? line.find("text") : line.end();
  if (line.is_object() && text != line.end() && text->is_string()) {
    if (text->get_ref<const std::string&>().empty()) return std::vector<SequenceInput>{};
    return sequences_from_text(checkpoint, text->get_ref<const std::string&>(), true, longest);
  }
  const auto ids = line.is_object() ? line.find("ids") : line.end();
  if (line.is_object() && ids != line.end() && ids->is_array()) {
    return sequences_from_id_list(checkpoint, *ids, place, longest);
  }
  return fail(ErrorKind::input, "a line must be an object with a \"text\", or with \"ids\"", place,
              "Write one {\"text\": …, \"domain\": …} per line");
}

// Keys of a line that are what runs; the others are tags.
bool is_input(const std::string& key, const ModelSpec& spec) {
  return key == "text" || key == "ids" || (spec.encoder_layers > 0 && key == "decoder_text");
}

// The list of ids or the text for the decoder in a line.
Expected<void> add_decoder_of_line(const Checkpoint& checkpoint, const nlohmann::json& line, const std::string& place,
                                   std::vector<SequenceInput>& sequences) {
  if (checkpoint.spec().encoder_layers == 0) return {};
  std::vector<std::int32_t> ids;
  std::string text;
  if (const auto found = line.find("decoder_ids"); found != line.end() && found->is_array()) {
    auto list = sequences_from_id_list(checkpoint, *found, place, found->size());
    if (!list) return fail(list.error());
    if (!list->empty()) ids = std::move(list->front().ids);
  }
  if (const auto found = line.find("decoder_text"); found != line.end() && found->is_string()) text = *found;
  auto added = add_decoder_input(checkpoint, std::move(ids), text, sequences);
  if (added) return added;
  Error error = std::move(added.error());
  error.where = place;
  return fail(std::move(error));
}

std::string tag_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

Expected<std::vector<SequenceInput>> sequences_from_text(const Checkpoint& checkpoint, std::string_view text,
                                                         bool special, std::size_t longest) {
  const auto tokenizer = tokenizer_of(checkpoint);
  if (!tokenizer) return fail(tokenizer.error());
  const auto encoding = (*tokenizer)->encode(text, special);
  if (!encoding) return fail(encoding.error());
  if (encoding->ids.empty()) return fail(ErrorKind::input, "the text is empty", "", "Give some text to run");
  const std::size_t limit = sequence_limit(checkpoint, longest);
  std::vector<SequenceInput> sequences;
  for (std::size_t first = 0; first < encoding->ids.size(); first += limit) {
    sequences.push_back(cut(*encoding, text, first, std::min(first + limit, encoding->ids.size())));
  }
  return sequences;
}

Expected<std::vector<SequenceInput>> sequences_from_jsonl(const Checkpoint& checkpoint, std::string_view lines,
                                                          const std::string& where, std::size_t longest) {
  std::vector<SequenceInput> all;
  const auto use = [&](const nlohmann::json& json, const std::string& place) -> Expected<void> {
    auto sequences = sequences_of_line(checkpoint, json, place, longest);
    if (!sequences) return fail(sequences.error());
    if (auto ok = add_decoder_of_line(checkpoint, json, place, *sequences); !ok) return fail(std::move(ok.error()));
    for (SequenceInput& sequence : *sequences) {
      for (const auto& [name, value] : json.items()) {
        if (!is_input(name, checkpoint.spec()) && value.is_primitive() && !value.is_null())
          sequence.tags[name] = tag_text(value);
      }
      all.push_back(std::move(sequence));
    }
    return {};
  };
  if (auto done = for_each_json_line(lines, where, use); !done) return fail(std::move(done.error()));
  if (all.empty()) return fail(ErrorKind::input, "there is no text in the file", where, "Give at least one line");
  return all;
}

Expected<void> add_decoder_input(const Checkpoint& checkpoint, std::vector<std::int32_t> ids, std::string_view text,
                                 std::vector<SequenceInput>& sequences) {
  if (ids.empty() && text.empty()) return {};
  const ModelSpec& spec = checkpoint.spec();
  if (spec.encoder_layers == 0) {
    return fail(ErrorKind::usage, "input for a decoder was given, but this model has no encoder", spec.family,
                "Give it as the text or the ids themselves");
  }
  if (!ids.empty() && !text.empty()) {
    return fail(ErrorKind::usage, "both a text and ids were given for the decoder", "", "Give one of them");
  }
  if (sequences.size() != 1) {
    return fail(ErrorKind::usage,
                fmt::format("the encoder's text became {} sequences; the decoder reads beside one", sequences.size()),
                "", "Shorten the text or raise the longest sequence");
  }
  if (!ids.empty()) {
    sequences.front().decoder_ids = std::move(ids);
    return {};
  }
  const auto tokenizer = tokenizer_of(checkpoint);
  if (!tokenizer) return fail(tokenizer.error());
  const auto encoding = (*tokenizer)->encode(text, true);
  if (!encoding) return fail(encoding.error());
  std::vector<std::int32_t>& out = sequences.front().decoder_ids;
  out.assign(1, spec.start_token);
  out.insert(out.end(), encoding->ids.begin(), encoding->ids.end());
  if (std::find(spec.end_tokens.begin(), spec.end_tokens.end(), out.back()) != spec.end_tokens.end()) out.pop_back();
  return {};
}

Expected<std::vector<SequenceInput>> sequences_from_ids(const Checkpoint& checkpoint, std::string_view ids) {
  const std::uint32_t vocabulary = checkpoint.spec().vocabulary;
  SequenceInput sequence;
  while (!ids.empty()) {
    const std::size_t begin = ids.find_first_not_of(" ,\t\n");
    if (begin == std::string_view::npos) break;
    ids.remove_prefix(begin);
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(ids.data(), ids.data() + ids.size(), id);
    const auto length = static_cast<std::size_t>(end - ids.data());
    if (error != std::errc{} || (length < ids.size() && ids.find_first_of(" ,\t\n") != length)) {
      return fail(ErrorKind::usage, "token ids are whole numbers, parted by commas", std::string(ids.substr(0, 20)));
    }
    if (id < 0 || static_cast<std::uint32_t>(id) >= vocabulary) {
      return fail(ErrorKind::usage, fmt::format("the vocabulary has {} tokens; there is no token {}", vocabulary, id));
    }
    sequence.ids.push_back(id);
    ids.remove_prefix(length);
  }
  if (sequence.ids.empty()) return fail(ErrorKind::usage, "give at least one token id");
  const std::uint32_t longest = checkpoint.spec().max_positions;
  if (longest > 0 && sequence.ids.size() > longest) {
    return fail(ErrorKind::usage,
                fmt::format("the model takes at most {} tokens; there are {}", longest, sequence.ids.size()));
  }
  return std::vector<SequenceInput>{std::move(sequence)};
}

}  // namespace moescope
